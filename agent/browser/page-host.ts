import type { CommandMessage, CommandOutcome } from '../../protocol/command.ts';
import type { DesiredMessage, DesiredState } from '../../protocol/desired.ts';
import type { HelloMessage } from '../../protocol/hello.ts';
import { type Labels, labelsSchema, nameSchema } from '../../protocol/ids.ts';
import type { ReportedDeployment } from '../../protocol/report.ts';
import { fingerprintOf } from '../../protocol/signing.ts';
import { AgentError, messageOf } from '../error.ts';
import { Identity, newBoot, pinnedFingerprint } from '../link/identity.ts';
import { Link } from '../link/link.ts';
import type { LinkState } from '../link/link-state.ts';
import { isHttp, isPlainAndRemote } from '../link/plain-url.ts';
import { TrustStore } from '../link/trust-store.ts';
import { DesiredGate, Equivocation } from '../rollout/desired-gate.ts';
import { PageSocket } from './page-socket.ts';
import { PageStore } from './page-store.ts';

export type { DesiredState, Labels };

/** Where a page's host stands: `other-tab` while another tab of the origin holds the link, else as the link does. */
export type PageHostState = 'other-tab' | LinkState['name'];

export interface PageHostOptions {
  /** The control plane, `https://…`; plain http to loopback only, unless `allowInsecureLink`. */
  readonly controlUrl: string;
  /** Needed once, before this browser has joined; of `POST /api/v1/join-tokens` or `driftline join-token`. */
  readonly joinToken?: string;
  /** How people call the host; default: the page's host name. */
  readonly name?: string;
  readonly labels?: Labels;
  /** The IndexedDB database that keeps key, root and document; default "driftline". */
  readonly database?: string;
  readonly allowInsecureLink?: boolean;
  onState?(state: PageHostState): void;
  /** A document that an online key of the pinned root signed for this host, newer than any before. */
  onDocument?(desired: DesiredState): void;
  log?(level: 'info' | 'warn', message: string, detail?: object): void;
}

interface Parts {
  readonly store: PageStore;
  readonly identity: Identity;
  readonly trust: TrustStore;
  readonly gate: DesiredGate;
  readonly desired: DesiredState | null;
}

/**
 * A host in a page: joins once, keeps a key that nobody can read, and follows the control plane as any host does. It runs no
 * models yet, and refuses each version that it is told to serve.
 */
export class PageHost {
  readonly #options: PageHostOptions;
  readonly #store: PageStore;
  readonly #identity: Identity;
  readonly #gate: DesiredGate;
  readonly #link: Link;
  readonly #stopped = new AbortController();
  #desired: DesiredState | null;
  /** Documents are taken up one after another. */
  #taking: Promise<void> = Promise.resolve();

  private constructor(options: PageHostOptions, parts: Parts) {
    const { identity, trust } = parts;
    this.#options = options;
    this.#store = parts.store;
    this.#identity = identity;
    this.#gate = parts.gate;
    this.#desired = parts.desired;
    const { controlUrl, joinToken, labels = {} } = options;
    this.#link = new Link({
      controlUrl,
      identity,
      trust,
      outbox: NO_WINDOWS,
      join: joinToken === undefined ? null : { token: joinToken, name: nameOf(options), labels },
      boot: newBoot(),
      capabilities: capabilities(),
      connect: (url) => new PageSocket(url),
      serving: () => null,
      generation: () => this.#desired?.generation ?? 0,
      onDesired: (message) => {
        this.#taking = this.#taking.then(() => this.#take(message));
      },
      onCommand: (message) => this.#run(message),
      onToken: () => undefined,
      onOnline: () => this.#report(),
      onSent: () => undefined,
      onState: ({ name }) => options.onState?.(name),
      log: (level, message, detail) => options.log?.(level, message, detail),
    });
  }

  /**
   * Reads what this browser keeps, or begins anew, and links. Throws `AgentError`: 'configuration' for an option that is
   * none, 'store' where nothing can be kept, 'identity' for what is kept and is not valid.
   */
  static async open(options: PageHostOptions): Promise<PageHost> {
    check(options);
    const { database = 'driftline', labels = {}, log } = options;
    const store = await PageStore.open(database);
    const identity = await Identity.load(store.identity);
    if (identity.agent === null && options.joinToken === undefined) {
      store.close();
      const told = 'this browser has not joined: give a join token of "driftline join-token"';
      throw new AgentError('configuration', told);
    }
    const trust = await TrustStore.load(store.root);
    const agent = () => identity.agent;
    const gate = new DesiredGate({ store: store.documents, trust, agent, labels });
    const desired = (await gate.restore())?.desired ?? null;
    const host = new PageHost(options, { store, identity, trust, gate, desired });
    host.#holdLink(`driftline:${database}`).catch((error: unknown) => {
      if (!host.#stopped.signal.aborted) log?.('warn', 'no link', { reason: messageOf(error) });
    });
    return host;
  }

  /** Its id; null before it has joined. */
  get agent(): string | null {
    return this.#identity.agent;
  }

  /** What an operator compares before approving this host: the SHA-256 of its public key in hex. */
  fingerprint(): Promise<string> {
    return fingerprintOf(this.#identity.key.publicKey);
  }

  /** The document in force; null: none was ever accepted. */
  get desired(): DesiredState | null {
    return this.#desired;
  }

  /** Ends the link. What is kept stays, for the next page. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#link.stop();
    await this.#taking;
    this.#store.close();
  }

  /** All tabs of an origin are one host: one of them holds the link, and the next one when that is closed. */
  async #holdLink(lock: string): Promise<void> {
    const { signal } = this.#stopped;
    const isFree = await navigator.locks.request(
      lock,
      { ifAvailable: true },
      (held) => held !== null,
    );
    if (!isFree) this.#options.onState?.('other-tab');
    await navigator.locks.request(lock, { signal }, () => {
      if (signal.aborted) return;
      this.#link.start();
      return new Promise<void>((release) => signal.addEventListener('abort', () => release()));
    });
  }

  async #take(message: DesiredMessage): Promise<void> {
    try {
      const taken = await this.#gate.take(message);
      if (taken !== null) {
        await taken.saved;
        this.#desired = taken.accepted.desired;
        this.#options.onDocument?.(this.#desired);
      }
      this.#report();
    } catch (error) {
      const name = error instanceof Equivocation ? 'equivocation' : 'desired-refused';
      const reason = messageOf(error);
      this.#options.log?.('warn', 'desired state refused', { reason });
      this.#link.send({ kind: 'event', name, detail: reason, at: Date.now() });
    }
  }

  #report(): void {
    const { generation = 0, deployments = [] } = this.#desired ?? {};
    this.#link.send({
      kind: 'report',
      observed: generation,
      applied: generation,
      at: Date.now(),
      deployments: deployments.map(refused),
    });
  }

  async #run({ command }: CommandMessage): Promise<CommandOutcome> {
    try {
      if (command.name === 'rotate-key') {
        const { publicKey } = await this.#identity.prepareRotation();
        return { ok: true, value: { name: command.name, publicKey } };
      }
      return { ok: false, code: 'failed', message: `a page can't do "${command.name}"` };
    } catch (error) {
      return { ok: false, code: 'failed', message: messageOf(error) };
    }
  }
}

/** A page makes none: it runs no models. */
const NO_WINDOWS = { take: () => [], acknowledge: async () => undefined };

function check(options: PageHostOptions): void {
  const { controlUrl, allowInsecureLink = false, joinToken, labels } = options;
  if (!isSecureContext) {
    const told = `${location.origin} is no secure context, to which browsers give neither keys nor locks: serve the page over https, or on localhost`;
    throw new AgentError('configuration', told);
  }
  if (!isHttp(controlUrl)) throw wrong('controlUrl', controlUrl, 'an http or https URL');
  if (!allowInsecureLink && isPlainAndRemote(controlUrl)) {
    throw wrong('controlUrl', controlUrl, 'an https URL, or allowInsecureLink given');
  }
  if (!nameSchema.safeParse(nameOf(options)).success) {
    throw wrong('name', nameOf(options), 'letters, digits, ".", "_" and "-"');
  }
  if (labels !== undefined && !labelsSchema.safeParse(labels).success) {
    throw wrong('labels', JSON.stringify(labels), 'names with values of text');
  }
  if (joinToken !== undefined) pinnedFingerprint(joinToken);
}

function wrong(option: string, value: string, must: string): AgentError {
  return new AgentError('configuration', `${option} is "${value}": it must be ${must}`);
}

function nameOf({ name }: PageHostOptions): string {
  if (name !== undefined) return name;
  return nameSchema.safeParse(location.hostname).success ? location.hostname : 'page';
}

const BROWSER = /(Firefox|Edg|Chrome|Version)\/[\d.]{1,40}/;

function capabilities(): HelloMessage['capabilities'] {
  return {
    runtime: 'browser',
    runtimeVersion: BROWSER.exec(navigator.userAgent)?.[0] ?? 'unknown',
    platform: 'browser',
    cores: navigator.hardwareConcurrency || 1,
    engines: 0,
    providers: [],
  };
}

function refused({ name, arms }: DesiredState['deployments'][number]): ReportedDeployment {
  return {
    name,
    arms: arms.map(({ arm, version, manifest }) => ({
      ...{ arm, version, manifest },
      state: 'refused' as const,
      code: 'session-failed' as const,
      detail: 'this host is a page, which runs no models yet',
    })),
  };
}
