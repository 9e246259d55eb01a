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
export { AgentError };

/**
 * Where a page's host stands: `other-tab` while another tab of the origin holds the link, `failed` where what is kept could not
 * be read when its turn came (`log` says why), else as the link does.
 */
export type PageHostState = 'other-tab' | 'failed' | LinkState['name'];

export interface PageHostOptions {
  /** The control plane, `https://…`; plain http to loopback only, unless `allowInsecureLink`. */
  readonly controlUrl: string;
  /**
   * Of `POST /api/v1/join-tokens` or `driftline join-token`, or what fetches one: asked for only before this browser has
   * joined.
   */
  readonly joinToken?: string | (() => Promise<string>);
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

/** Of the tab that holds the link: only there does what is kept change. */
interface Holder {
  readonly identity: Identity;
  readonly gate: DesiredGate;
  readonly link: Link;
}

/**
 * A host in a page: joins once, keeps a key that nobody can read, and follows the control plane as any host does. It runs no
 * models yet, and refuses each version that it is told to serve. All tabs of an origin are one host: one of them holds the
 * link, and the next one when that is closed.
 */
export class PageHost {
  readonly #options: PageHostOptions;
  readonly #store: PageStore;
  /** Aborted when this tab no longer wants the link, or can't have it. */
  readonly #released = new AbortController();
  #isStopped = false;
  #holder: Holder | null = null;
  #desired: DesiredState | null = null;
  /** Documents are taken up one after another. */
  #taking: Promise<void> = Promise.resolve();

  private constructor(options: PageHostOptions, store: PageStore) {
    this.#options = options;
    this.#store = store;
  }

  /**
   * Reads what this browser keeps, or begins anew, and links; where another tab holds the link, waits for that to close.
   * Throws `AgentError`: 'configuration' for an option that is none, 'store' where nothing can be kept, 'identity' for what
   * is kept and is not valid.
   */
  static async open(options: PageHostOptions): Promise<PageHost> {
    check(options);
    const { database = 'driftline', joinToken } = options;
    const store = await PageStore.open(database);
    try {
      const kept = await store.identity.read();
      if ((kept?.agent ?? null) === null && joinToken === undefined) {
        const told = 'this browser has not joined: give a join token of "driftline join-token"';
        throw new AgentError('configuration', told);
      }
      const host = new PageHost(options, store);
      await host.#begin(`driftline:${database}`);
      return host;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Its id; null before it has joined, and while another tab holds the link. */
  get agent(): string | null {
    return this.#holder?.identity.agent ?? null;
  }

  /** The document in force; null: none was ever accepted, or another tab holds the link. */
  get desired(): DesiredState | null {
    return this.#desired;
  }

  /** What an operator compares before approving this host: the SHA-256 of its public key in hex. Null before there is one. */
  async fingerprint(): Promise<string | null> {
    const kept = this.#holder?.identity ?? (await this.#store.identity.read());
    return kept === null ? null : fingerprintOf(kept.key.publicKey);
  }

  /** Ends the link. What is kept stays, for the next page. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#holder?.link.stop();
    await this.#taking;
    // The next tab reads what is kept: nothing is written any more.
    this.#released.abort();
    this.#store.close();
  }

  /** Resolves when this tab holds the link, or another one does. */
  #begin(lock: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const first = navigator.locks.request(lock, { ifAvailable: true }, async (isFree) => {
        if (isFree === null) return false;
        await this.#link();
        resolve();
        await this.#untilReleased();
        return true;
      });
      first
        .then((hasHeld) => {
          if (hasHeld) return;
          this.#tell(() => this.#options.onState?.('other-tab'));
          resolve();
          this.#wait(lock);
        })
        .catch(reject);
    });
  }

  #wait(lock: string): void {
    const { signal } = this.#released;
    const held = navigator.locks.request(lock, { signal }, async () => {
      await this.#link();
      await this.#untilReleased();
    });
    held.catch((error: unknown) => {
      if (signal.aborted) return;
      this.#warn('no link', { reason: messageOf(error) });
      this.#tell(() => this.#options.onState?.('failed'));
    });
  }

  #untilReleased(): Promise<void> {
    const { signal } = this.#released;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });
  }

  /** Under the lock: what another tab has kept until now is read, and from here on changed by this one alone. */
  async #link(): Promise<void> {
    const { labels = {} } = this.#options;
    const identity = await Identity.load(this.#store.identity);
    const trust = await TrustStore.load(this.#store.root);
    const agent = () => identity.agent;
    const gate = new DesiredGate({ store: this.#store.documents, trust, agent, labels });
    this.#desired = await this.#restored(gate);
    const token = identity.agent === null ? await tokenOf(this.#options) : null;
    if (this.#isStopped) return;
    const link = this.#createLink(identity, trust, token);
    this.#holder = { identity, gate, link };
    link.start();
  }

  /** A document that its root no longer stands behind is none, and the next one is on its way. */
  async #restored(gate: DesiredGate): Promise<DesiredState | null> {
    try {
      return (await gate.restore())?.desired ?? null;
    } catch (error) {
      this.#warn('the document that was kept is not followed', { reason: messageOf(error) });
      return null;
    }
  }

  /** What the site does with what it is told is not the host's affair: its errors are reported as the site's own. */
  #tell(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      reportError(error);
    }
  }

  #warn(message: string, detail: object): void {
    this.#tell(() => this.#options.log?.('warn', message, detail));
  }

  #createLink(identity: Identity, trust: TrustStore, token: string | null): Link {
    const options = this.#options;
    const { controlUrl, labels = {} } = options;
    return new Link({
      controlUrl,
      identity,
      trust,
      outbox: NO_WINDOWS,
      join: token === null ? null : { token, name: nameOf(options), labels },
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
      onOnline: () => {
        // Else a browser that runs out of room may take the key away.
        void navigator.storage.persist();
        this.#report();
      },
      onSent: () => undefined,
      onState: ({ name }) => {
        // For good: another tab may have a token that is.
        if (name === 'refused') this.#released.abort();
        this.#tell(() => options.onState?.(name));
      },
      log: (level, message, detail) => this.#tell(() => options.log?.(level, message, detail)),
    });
  }

  async #take(message: DesiredMessage): Promise<void> {
    const { gate, link } = this.#holder ?? {};
    try {
      const taken = (await gate?.take(message)) ?? null;
      if (taken !== null && !this.#isStopped) {
        const { desired } = taken.accepted;
        this.#desired = desired;
        this.#tell(() => this.#options.onDocument?.(desired));
        await taken.saved;
      }
      this.#report();
    } catch (error) {
      const name = error instanceof Equivocation ? 'equivocation' : 'desired-refused';
      const reason = messageOf(error);
      this.#warn('desired state refused', { reason });
      link?.send({ kind: 'event', name, detail: reason, at: Date.now() });
    }
  }

  #report(): void {
    const { generation = 0, deployments = [] } = this.#desired ?? {};
    this.#holder?.link.send({
      kind: 'report',
      observed: generation,
      applied: generation,
      at: Date.now(),
      deployments: deployments.map(refused),
    });
  }

  async #run({ command }: CommandMessage): Promise<CommandOutcome> {
    const identity = this.#holder?.identity;
    try {
      if (command.name === 'rotate-key' && identity !== undefined) {
        const { publicKey } = await identity.prepareRotation();
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
  if (location.protocol === 'https:' && isPlainAndRemote(controlUrl)) {
    throw wrong(
      'controlUrl',
      controlUrl,
      'an https URL: browsers open no other from an https page',
    );
  }
  if (!nameSchema.safeParse(nameOf(options)).success) {
    throw wrong('name', nameOf(options), 'letters, digits, ".", "_" and "-"');
  }
  if (labels !== undefined && !labelsSchema.safeParse(labels).success) {
    throw wrong('labels', JSON.stringify(labels), 'names with values of text');
  }
  if (typeof joinToken === 'string') pinnedFingerprint(joinToken);
}

async function tokenOf({ joinToken }: PageHostOptions): Promise<string | null> {
  if (joinToken === undefined) return null;
  const token = typeof joinToken === 'string' ? joinToken : await joinToken();
  pinnedFingerprint(token);
  return token;
}

function wrong(option: string, value: string, must: string): AgentError {
  return new AgentError('configuration', `${option} is "${value}": it must be ${must}`);
}

function nameOf({ name }: PageHostOptions): string {
  if (name !== undefined) return name;
  return nameSchema.safeParse(location.hostname).success ? location.hostname : 'page';
}

const BROWSER = /(Firefox|Edg|Chrome(?!.* Edg)|Version)\/[\d.]{1,40}/;

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
