import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Identity, newBoot } from '../../agent/link/identity.ts';
import { loadIdentity } from '../../agent/link/identity-file.ts';
import { Link } from '../../agent/link/link.ts';
import { Outbox } from '../../agent/link/outbox.ts';
import { loadTrust } from '../../agent/link/root-file.ts';
import { DesiredGate } from '../../agent/rollout/desired-gate.ts';
import { DesiredStore } from '../../agent/rollout/desired-store.ts';
import type { Faults } from '../../agent/simulate/config.ts';
import { FaultySocket } from '../../agent/simulate/faulty-socket.ts';
import type { DesiredMessage, DesiredState } from '../../protocol/desired.ts';
import { encodeWindow } from '../../protocol/sketch/codec.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { decodeDown } from '../../protocol/wire.ts';
import type { Place } from './link-agent.ts';

export interface LinkedHostDeps {
  readonly token: string;
  readonly url: () => string;
  readonly faults: () => Faults;
  readonly random: () => number;
}

/** An agent's own link, outbox, identity and gate, on a disk of its own, behind a network that may be bad. */
export class LinkedHost {
  readonly folder: string;
  readonly #token: string;
  readonly #url: () => string;
  readonly #faults: () => Faults;
  readonly #random: () => number;
  #running: { readonly link: Link; readonly outbox: Outbox; readonly identity: Identity } | null =
    null;
  #sockets: FaultySocket[] = [];
  #desired: DesiredState | null = null;
  /** Generations that it took up, over all its lives. */
  readonly generations: number[] = [];
  /** Documents that came, good or not. */
  documents = 0;
  /** Windows put into the outbox. */
  produced = 0;
  /** It has been told that it is revoked, behind all else that its link had said. */
  isRevoked = false;

  #saving: Promise<void> = Promise.resolve();

  private constructor(folder: string, deps: LinkedHostDeps) {
    this.folder = folder;
    this.#token = deps.token;
    this.#url = deps.url;
    this.#faults = deps.faults;
    this.#random = deps.random;
  }

  static async start(deps: LinkedHostDeps): Promise<LinkedHost> {
    const host = new LinkedHost(await mkdtemp(join(tmpdir(), 'driftline-host-')), deps);
    await host.#start();
    return host;
  }

  get id(): string | null {
    return this.#running?.identity.agent ?? null;
  }

  get online(): boolean {
    return this.#running?.link.online ?? false;
  }

  /** The newest generation that it follows; 0: none. */
  get generation(): number {
    return this.#desired?.generation ?? 0;
  }

  get pending(): number {
    return this.#running?.outbox.pendingCount ?? 0;
  }

  async #start(): Promise<void> {
    const { folder } = this;
    const identity = await loadIdentity(folder);
    const trust = await loadTrust(folder);
    const store = new DesiredStore(folder);
    const gate = new DesiredGate({ store, trust, agent: () => identity.agent, labels: {} });
    this.#desired = (await gate.restore())?.desired ?? null;
    const boot = newBoot();
    const outbox = await Outbox.open({ folder: join(folder, 'outbox'), boot });
    const link: Link = new Link({
      ...{ controlUrl: this.#url(), identity, trust, outbox, boot },
      join: { token: this.#token, name: 'host', labels: {} },
      capabilities: {
        ...{ runtime: 'node', runtimeVersion: '20', platform: 'test', cores: 1, engines: 1 },
        providers: ['cpu'],
      },
      serving: () => null,
      generation: () => this.#desired?.generation ?? 0,
      onDesired: (message) => {
        this.#saving = this.#saving.then(() => this.#take(gate, message)).catch(() => undefined);
      },
      onCommand: async () => ({ ok: false, code: 'failed', message: 'no commands here' }),
      onToken: () => undefined,
      onOnline: () => {
        for (const socket of this.#sockets) socket.begin();
      },
      onSent: () => undefined,
      log: (_, __, detail) => {
        this.isRevoked ||= detail !== undefined && 'code' in detail && detail.code === 'revoked';
      },
      connect: (url) => {
        const socket = new FaultySocket(url, this.#faults(), this.#random, (frame) => {
          // As it comes, whatever the link makes of it.
          if (decodeDown(frame).kind === 'desired') this.documents += 1;
          return false;
        });
        this.#sockets = [socket];
        return socket;
      },
    });
    this.#running = { link, outbox, identity };
    link.start();
  }

  async #take(gate: DesiredGate, message: DesiredMessage): Promise<void> {
    const taken = await gate.take(message);
    if (taken === null) return;
    this.#desired = taken.accepted.desired;
    this.generations.push(this.#desired.generation);
    await taken.saved;
  }

  async produce(place: Place, window: WindowSketch): Promise<void> {
    if (this.#running === null) return;
    const { link, outbox } = this.#running;
    await outbox.append({ ...place, clockAheadMs: 0, body: encodeWindow(window) });
    this.produced += 1;
    link.flush();
  }

  cutLine(): void {
    for (const socket of this.#sockets) socket.terminate();
  }

  /** Dies without a word and comes back with what its disk has. */
  async crash(): Promise<void> {
    await this.#end();
    await this.#start();
  }

  async #end(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    this.cutLine();
    running?.link.stop();
    await this.#saving;
    await running?.outbox.close();
  }

  async stop(): Promise<void> {
    await this.#end();
    await rm(this.folder, { recursive: true, force: true });
  }
}
