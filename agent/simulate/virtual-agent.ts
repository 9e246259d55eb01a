import { join } from 'node:path';
import type { DesiredMessage, DesiredState } from '../../protocol/desired.ts';
import type { HelloMessage } from '../../protocol/hello.ts';
import type { ReportedDeployment } from '../../protocol/report.ts';
import { windowStart } from '../engine/window-start.ts';
import { messageOf } from '../error.ts';
import { newBoot } from '../link/identity.ts';
import { loadIdentity } from '../link/identity-file.ts';
import { Link } from '../link/link.ts';
import { Outbox } from '../link/outbox.ts';
import { loadTrust } from '../link/root-file.ts';
import { SendSlot } from '../link/send-slot.ts';
import { DesiredGate } from '../rollout/desired-gate.ts';
import { DesiredStore } from '../rollout/desired-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Faults } from './config.ts';
import { FaultySocket } from './faulty-socket.ts';
import { type LateChecks, readUnverified } from './late-checks.ts';
import type { Versions } from './versions.ts';

/** An outbox of this size holds hours of windows, and a process of 10,000 agents has room for them. */
const OUTBOX_BYTES = 4 * 1024 * 1024;

export interface VirtualAgentOptions {
  readonly folder: string;
  readonly name: string;
  readonly controlUrl: string;
  readonly joinToken: string;
  readonly labels: Record<string, string>;
  readonly faults: Faults;
  readonly versions: Versions;
  readonly checks: LateChecks;
  readonly disk: Disk;
  readonly random: () => number;
  /** A document has come in, and was not looked at yet. */
  onTold(): void;
  /** The agent has said that it serves a generation. */
  onServing(generation: number): void;
  onFailure(reason: string): void;
}

/** One agent without a model: link, identity and outbox are those of a real one. */
export class VirtualAgent {
  readonly #options: VirtualAgentOptions;
  readonly #skewMs: number;
  readonly #slot: SendSlot;
  #running: { readonly link: Link; readonly outbox: Outbox } | null = null;
  #sockets: FaultySocket[] = [];
  #downloadToken: string | null = null;
  #desired: DesiredState | null = null;
  #timers: NodeJS.Timeout[] = [];
  #cutting: Promise<void> = Promise.resolve();
  /** A document was taken or refused. */
  #checked: () => void = () => undefined;
  /** Of the starts before this one. */
  #producedBefore = 0;
  #lostBefore = 0;

  constructor(options: VirtualAgentOptions) {
    this.#options = options;
    this.#skewMs = Math.round((2 * options.random() - 1) * options.faults.skewMs);
    this.#slot = new SendSlot(() => this.#running?.link.flush(), options.random());
  }

  get online(): boolean {
    return this.#running?.link.online ?? false;
  }

  get produced(): number {
    return this.#producedBefore + (this.#running?.outbox.produced ?? 0);
  }

  get pending(): number {
    return this.#running?.outbox.pendingCount ?? 0;
  }

  /** Windows that the outbox had no room for. */
  get lost(): number {
    return this.#lostBefore + (this.#running?.outbox.dropped ?? 0);
  }

  /** Deployments that windows are sent for. */
  get deployments(): readonly string[] {
    return this.#desired?.deployments.map(({ name }) => name) ?? [];
  }

  async start(): Promise<void> {
    const { folder, controlUrl, name, joinToken, labels } = this.#options;
    const identity = await loadIdentity(folder);
    const trust = await loadTrust(folder);
    const store = new DesiredStore(folder);
    const gate = new DesiredGate({ store, trust, agent: () => identity.agent, labels: {} });
    await gate.restore();
    const boot = newBoot();
    const outbox = await Outbox.open({
      folder: join(folder, 'outbox'),
      boot,
      maxBytes: OUTBOX_BYTES,
      disk: this.#options.disk,
    });
    const link = new Link({
      controlUrl,
      identity,
      trust,
      outbox,
      boot,
      join: { token: joinToken, name, labels },
      capabilities: CAPABILITIES,
      serving: () => null,
      generation: () => this.#desired?.generation ?? 0,
      onDesired: (message) => {
        this.#options.onTold();
        this.#accept(message, gate)
          .catch((error: unknown) => this.#failed(error))
          .finally(() => this.#checked());
      },
      onCommand: async () => ({ ok: false, code: 'failed', message: 'a simulated agent' }),
      onToken: (token) => {
        this.#downloadToken = token;
      },
      onOnline: () => {
        for (const socket of this.#sockets) socket.begin();
        this.#report();
      },
      onSent: () => undefined,
      log: () => undefined,
      now: () => this.#now(),
      connect: (url) => {
        const { faults, random } = this.#options;
        const early = (frame: Uint8Array, deliver: () => void) => this.#answer(frame, deliver);
        const socket = new FaultySocket(url, faults, random, early);
        this.#sockets = [socket];
        return socket;
      },
    });
    this.#running = { link, outbox };
    link.start();
    this.#watchClock();
  }

  #now(): number {
    return Date.now() + this.#skewMs;
  }

  async #accept(message: DesiredMessage, gate: DesiredGate): Promise<void> {
    const taken = await gate.take(message);
    if (taken === null) {
      this.#report();
      return;
    }
    this.#desired = taken.accepted.desired;
    this.#report();
    this.#watchClock();
  }

  /** While answers are timed: says that it serves what it is told, and has the frame delivered later. */
  #answer(frame: Uint8Array, deliver: () => void): boolean {
    const { checks, onTold } = this.#options;
    const told = checks.isHolding && this.online ? readUnverified(frame) : null;
    if (told === null) return false;
    onTold();
    checks.putOff(
      () =>
        new Promise((resolve) => {
          this.#checked = resolve;
          deliver();
        }),
    );
    if (told.generation > (this.#desired?.generation ?? 0)) {
      this.#desired = told;
      this.#report();
    }
    return true;
  }

  #report(): void {
    const desired = this.#desired;
    if (desired === null || this.#running === null) return;
    const { generation } = desired;
    this.#running.link.send({
      kind: 'report',
      observed: generation,
      applied: generation,
      at: this.#now(),
      deployments: desired.deployments.map(servingAll),
    });
    if (this.online) this.#options.onServing(generation);
  }

  /** One timer for each length of window, at multiples of it on the host's own clock. */
  #watchClock(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    const lengths = new Set(this.#desired?.deployments.map(({ windowMs }) => windowMs));
    this.#timers = [...lengths].map((windowMs) => this.#cutAt(windowMs));
  }

  #cutAt(windowMs: number): NodeJS.Timeout {
    const now = this.#now();
    const startMs = windowStart(now, windowMs);
    return setTimeout(
      () => {
        this.#cutting = this.#cutting
          .then(() => this.#cut(windowMs, startMs))
          .catch((error: unknown) => this.#failed(error));
        this.#timers.push(this.#cutAt(windowMs));
      },
      startMs + windowMs - now,
    );
  }

  async #cut(windowMs: number, windowStartMs: number): Promise<void> {
    const { versions, random } = this.#options;
    const [running, token] = [this.#running, this.#downloadToken];
    if (running === null || token === null) return;
    for (const { name, arms, windowMs: length } of this.#desired?.deployments ?? []) {
      if (length !== windowMs) continue;
      for (const { arm, manifest, share } of arms) {
        if (share === 0) continue;
        const windows = await versions.windowsOf(manifest, token);
        const body = windows[Math.floor(random() * windows.length)];
        const clockAheadMs = running.link.clockAheadMs;
        const place = { deployment: name, manifest, arm, windowStartMs, windowMs };
        // A process that has died makes no windows.
        if (this.#running !== running) return;
        await running.outbox.append({ ...place, clockAheadMs, body });
      }
    }
    this.#slot.ended(windowMs);
  }

  /** Dies without a word, and comes back with what its disk has. */
  async crash(): Promise<void> {
    await this.#end();
    await this.start();
  }

  async #end(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    // What was being written is on disk, or was never made.
    await this.#cutting;
    for (const socket of this.#sockets) socket.terminate();
    running.link.stop();
    await running.outbox.close();
    this.#producedBefore += running.outbox.produced;
    this.#lostBefore += running.outbox.dropped;
  }

  /** Makes no more windows; what waits is still sent. */
  stopTraffic(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    this.#desired = this.#desired === null ? null : { ...this.#desired, deployments: [] };
    this.#slot.now();
  }

  async stop(): Promise<void> {
    await this.#end();
  }

  #failed(error: unknown): void {
    this.#options.onFailure(messageOf(error));
  }
}

const CAPABILITIES: HelloMessage['capabilities'] = {
  runtime: 'node',
  runtimeVersion: 'simulated',
  platform: 'simulated',
  cores: 1,
  engines: 0,
  providers: ['cpu'],
};

function servingAll({ name, arms }: DesiredState['deployments'][number]): ReportedDeployment {
  return {
    name,
    arms: arms.map(({ arm, version, manifest, share }) => ({
      ...{ arm, version, manifest, share },
      state: 'serving' as const,
    })),
  };
}
