import { uptime } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { DesiredState } from '../../protocol/desired.ts';
import type { Lease, Renewal, ReportedLease } from '../../protocol/lease.ts';
import { messageOf } from '../error.ts';
import { readTextIfAny, writeFileAtomically } from '../store/atomic-file.ts';
import {
  afterDocument,
  afterRenewal,
  afterSettling,
  afterWelcome,
  controlNow,
  keptLeases,
  type LeaseState,
  lapsesAt,
  NO_LEASES,
  restoredLeases,
  withLeases,
} from './lease-state.ts';

export interface LeaseKeeperOptions {
  readonly folder: string;
  /** The lease of this deployment lapsed, or is held again. */
  onChange(): void;
  onLapsed(deployment: string, lease: Lease, lapsedAtMs: number): void;
  onFailure(reason: string): void;
  /** Milliseconds since the machine was booted; for tests. */
  readonly uptimeMs?: () => number;
  readonly wallMs?: () => number;
}

/** Also the longest that a lapse is noticed late, where a timer slept with its machine. */
const LOOK_EVERY_MS = 1_000;
/** What a reboot with a wall clock that was set back can give a lease again. */
const SAVE_EVERY_MS = 5_000;

const keptSchema = z.object({
  generation: z.int(),
  vouchedMs: z.number(),
  heldMs: z.record(z.string(), z.number()),
  clock: z.object({ controlMs: z.number(), uptimeMs: z.number() }).nullable(),
  wallMs: z.number(),
  uptimeMs: z.number(),
});

/**
 * Counts down the leases of this host's deployments, over restarts too. Uptime is what it counts by: unlike a wall clock
 * nobody can set it, and unlike Node's timers it goes on while a machine sleeps.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #path: string;
  readonly #uptimeMs: () => number;
  readonly #wallMs: () => number;
  #state: LeaseState = NO_LEASES;
  #leases: ReadonlyMap<string, Lease> = new Map();
  #lapsed: ReadonlySet<string> = new Set();
  readonly #lapsedAt = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;
  #saving: Promise<void> = Promise.resolve();
  #saveAhead = false;
  #savedUptimeMs = 0;
  #stopped = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#path = join(options.folder, 'leases.json');
    this.#uptimeMs = options.uptimeMs ?? (() => uptime() * 1000);
    this.#wallMs = options.wallMs ?? Date.now;
  }

  /** What was left of the leases at the last stop, less the time since. */
  async load(): Promise<void> {
    const text = await readTextIfAny(this.#path);
    if (text === null) return;
    const kept = keptSchema.parse(JSON.parse(text));
    this.#state = restoredLeases(kept, this.#wallMs(), this.#uptimeMs());
  }

  /** Deployments whose lease has lapsed, and which are to stop then. */
  get stopped(): readonly string[] {
    return [...this.#lapsed].filter((name) => this.#leases.get(name)?.afterwards === 'stop');
  }

  /** What a report says; undefined where there is no lease. */
  of(deployment: string): ReportedLease | undefined {
    const lease = this.#leases.get(deployment);
    if (lease === undefined) return undefined;
    const lapsed = lease.afterwards === 'stop' ? 'stopped' : 'lapsed';
    const state = this.#lapsed.has(deployment) ? lapsed : 'held';
    return { state, lapsedAt: this.#lapsedAt.get(deployment) ?? null };
  }

  /** The control plane proved its time, in answer to a hello that was sent `agoMs` ago. */
  welcomed(serverTimeMs: number, agoMs: number): void {
    this.#step(afterWelcome(this.#state, serverTimeMs, agoMs, this.#uptimeMs()));
  }

  /** A document is in force: accepted just now, or found on the disk. */
  follow({ generation, issuedAt, deployments }: DesiredState): void {
    this.#leases = new Map(
      deployments.flatMap(({ name, lease }) => (lease === undefined ? [] : [[name, lease]])),
    );
    const state = afterDocument(this.#state, { generation, issuedAt }, this.#uptimeMs());
    this.#step(withLeases(state, [...this.#leases.keys()]));
  }

  /** Its signature has been verified. */
  renew(renewal: Renewal): void {
    this.#step(afterRenewal(this.#state, renewal, this.#uptimeMs()));
  }

  /** These deployments do what the document says of them. */
  settle(deployments: readonly string[]): void {
    this.#step(afterSettling(this.#state, deployments));
  }

  #step(state: LeaseState): void {
    this.#state = state;
    this.#look();
    this.#save();
  }

  #look(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#leases.size === 0) this.#lapsed = new Set();
    const now = controlNow(this.#state, this.#uptimeMs());
    if (now === null || this.#leases.size === 0 || this.#stopped) return;
    const lapsed = new Set<string>();
    let nextMs = LOOK_EVERY_MS;
    for (const [name, lease] of this.#leases) {
      const at = lapsesAt(this.#state, name, lease);
      if (at <= now) lapsed.add(name);
      else nextMs = Math.min(nextMs, at - now);
      if (at > now || this.#lapsed.has(name)) continue;
      const lapsedAt = Math.max(0, Math.floor(at));
      this.#lapsedAt.set(name, lapsedAt);
      this.#options.onLapsed(name, lease, lapsedAt);
    }
    const same = lapsed.size === this.#lapsed.size && [...lapsed].every((n) => this.#lapsed.has(n));
    this.#lapsed = lapsed;
    // A timer may fire a millisecond early, and would find nothing lapsed.
    this.#timer = setTimeout(() => this.#tick(), Math.ceil(nextMs) + 1);
    if (!same) this.#options.onChange();
  }

  #tick(): void {
    this.#look();
    if (this.#uptimeMs() - this.#savedUptimeMs >= SAVE_EVERY_MS) this.#save();
  }

  /** Without leases there is nothing to count down, and nothing to write. */
  #save(): void {
    if (this.#leases.size === 0 || this.#saveAhead) return;
    this.#saveAhead = true;
    this.#saving = this.#saving
      .then(() => this.#write())
      .catch((error: unknown) => this.#options.onFailure(messageOf(error)));
  }

  async #write(): Promise<void> {
    this.#saveAhead = false;
    this.#savedUptimeMs = this.#uptimeMs();
    const kept = keptLeases(this.#state, this.#wallMs(), this.#savedUptimeMs);
    await writeFileAtomically(this.#path, JSON.stringify(kept));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#save();
    await this.#saving;
  }
}
