import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest } from '../../protocol/ids.ts';
import { SketchError } from '../../protocol/sketch/error.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { withoutOutcomes } from '../../protocol/sketch/withhold.ts';
import { record } from '../audit/record.ts';
import type { MonitorShape } from '../decide/drift-monitor.ts';
import { type Place, telemetryViolation, withheldFrom } from '../residency/residency.ts';
import { standingOf } from '../store/agents.ts';
import { type Assignment, assignedOf } from '../store/assignments.ts';
import type { Store, Transaction } from '../store/database.ts';
import { findDeployment } from '../store/deployments.ts';
import { countRefusals, type Refusal } from '../store/refusals.ts';
import { HOUR_MS, markDue, type RollupKey } from '../store/rollups.ts';
import {
  type Committed,
  commitTelemetry,
  type Folded,
  type TelemetryItem,
} from '../store/telemetry.ts';
import { bootOf } from '../store/telemetry-rows.ts';
import { type Decoded, decodeOnGrids, foldWindow } from './fold.ts';
import { type Refused, refused, refusedByTime } from './refuse.ts';

/** Windows per transaction. One fsync for all of them; more would hold up reports and rollbacks. */
export const MAX_GROUP = 128;
/** How long the first window of a group waits for company. */
const GROUP_WAIT_MS = 5;
/** Windows that are decoded in one turn of the event loop. */
const CHECKED_AT_ONCE = 64;

/** A window that is in the database now. */
export interface MergedWindow {
  readonly item: TelemetryItem;
  readonly window: WindowSketch;
}

export interface IngestDeps {
  readonly store: Store;
  readonly shapeOf: (manifest: Digest) => Promise<MonitorShape | null>;
  readonly now: () => number;
  /** Where this control plane is; absent: nobody has said. */
  readonly place?: Place;
  /** After the commit, before the acks. Must not throw. */
  readonly onMerged: (merged: readonly MergedWindow[]) => void;
  /** It was counted (`store/refusals.ts`) and will be acknowledged. */
  readonly onRefused: (item: TelemetryItem, refused: Refused) => void;
}

interface Waiting {
  readonly item: TelemetryItem;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The one way of telemetry into the database. Windows of all links queue here and are committed in
 * groups, in the order in which they came, one group after the other.
 */
export class Ingest {
  readonly #deps: IngestDeps;
  #waiting: Waiting[] = [];
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** Windows that came again and were not counted again, since the start. */
  duplicates = 0;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when the item may be acknowledged: merged, known already, or refused for good. Rejects
   * when the database could not take it; the host must send it again.
   */
  add(item: TelemetryItem): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#running !== null) return;
      if (this.#waiting.length >= MAX_GROUP) this.#start();
      else this.#timer ??= setTimeout(() => this.#start(), GROUP_WAIT_MS);
    });
  }

  /** Commits what is waiting. */
  async drain(): Promise<void> {
    while (this.#waiting.length > 0 || this.#running !== null) {
      this.#start();
      await this.#running;
    }
  }

  #start(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#waiting.length > 0) this.#start();
    });
  }

  async #run(): Promise<void> {
    const group = this.#waiting.splice(0, MAX_GROUP);
    if (group.length === 0) return;
    try {
      const merged = await this.#commit(group.map((waiting) => waiting.item));
      if (merged.length > 0) this.#deps.onMerged(merged);
      for (const waiting of group) waiting.resolve();
    } catch (error) {
      this.#rejectAll(group, error);
    }
  }

  /**
   * With a window that could not be stored goes everything behind it of the same boot: merged, a later one would
   * move the cursor past the earlier one, which would then be taken for a duplicate when it is sent again.
   */
  #rejectAll(group: readonly Waiting[], error: unknown): void {
    const broken = new Set(group.map(({ item }) => bootOf(item)));
    const behind = this.#waiting.filter(({ item }) => broken.has(bootOf(item)));
    this.#waiting = this.#waiting.filter(({ item }) => !broken.has(bootOf(item)));
    for (const waiting of [...group, ...behind]) waiting.reject(error);
  }

  async #commit(items: readonly TelemetryItem[]): Promise<MergedWindow[]> {
    const { store, now, onRefused } = this.#deps;
    const checks = await this.#checkAll(items);
    const windows = new Map<TelemetryItem, WindowSketch>();
    const refusals = new Map<TelemetryItem, Refused>();
    const fold = (stored: Folded | null, item: TelemetryItem): Folded | null => {
      const checked = checks.get(item) ?? missed(item);
      const folded =
        checked.kind === 'refused' ? checked : add(stored, checked.window, checked.body);
      if (folded.kind === 'refused' || checked.kind === 'refused') {
        if (folded.kind === 'refused') refusals.set(item, folded);
        return null;
      }
      windows.set(item, checked.window);
      return folded.sum;
    };
    const { merged, duplicates }: Committed = await store.write(async (tx) => {
      // A transaction that is tried again must not count twice.
      refusals.clear();
      const committed = await commitTelemetry(tx, items, fold, now());
      await markDue(tx, hoursOf(committed.merged));
      const first = await countRefusals(tx, [...refusals].map(refusalOf), now());
      await recordViolations(tx, first, now());
      return committed;
    });
    this.duplicates += duplicates;
    for (const [item, refused] of refusals) onRefused(item, refused);
    return merged.flatMap((item) => {
      const window = windows.get(item);
      return window === undefined ? [] : [{ item, window }];
    });
  }

  /** Before the transaction, and in slices: a group is then two or three turns of the event loop, and not one long one. */
  async #checkAll(items: readonly TelemetryItem[]): Promise<ReadonlyMap<TelemetryItem, Checked>> {
    const check = await this.#checker(items);
    const checks = new Map<TelemetryItem, Checked>();
    for (const [at, item] of items.entries()) {
      if (at % CHECKED_AT_ONCE === 0 && at > 0) await nextTurn();
      checks.set(item, check(item));
    }
    if (items.length > CHECKED_AT_ONCE) await nextTurn();
    return checks;
  }

  /** Reads what is known of a group's hosts, deployments and versions once, before the transaction. */
  async #checker(items: readonly TelemetryItem[]): Promise<(item: TelemetryItem) => Checked> {
    const { store, shapeOf, now, place = null } = this.#deps;
    const shapes = await this.#lookUp(items, (item) => item.manifest, shapeOf);
    const deployments = await this.#lookUp(
      items,
      (item) => item.deployment,
      (name) => findDeployment(store.read, name),
    );
    const hosts = await standingOf(store.read, [...new Set(items.map((item) => item.agentId))]);
    const pairs = [...new Map(items.map((item) => [pairOf(item), item])).values()];
    const named = await assignedOf(
      store.read,
      pairs.map(({ agentId, deployment }) => ({ agentId, deployment })),
    );
    const assigned = new Set(named.map(pairOf));
    const at = now();
    return (item) => {
      const { deployment, manifest, agentId, windowStartMs } = item;
      const known = deployments.get(deployment);
      if (known === undefined) {
        return refused('unknown-deployment', `no deployment "${deployment}"`);
      }
      const { revokedAt = null, jurisdiction = null } = hosts.get(agentId) ?? {};
      if (revokedAt !== null) {
        return refused('agent-revoked', `the host was revoked at ${revokedAt}`);
      }
      const violation = telemetryViolation(known.residency, jurisdiction);
      if (violation !== null) return refused('residency', `${violation.code}: ${violation.detail}`);
      if (!assigned.has(pairOf(item))) {
        return refused('not-assigned', `${agentId} was never asked to serve "${deployment}"`);
      }
      const shape = shapes.get(manifest);
      if (shape === undefined) {
        return refused('unknown-version', `no version has the manifest ${manifest}`);
      }
      const late = refusedByTime(windowStartMs, at);
      if (late !== null) return late;
      const decoded = decodeOnGrids(item.body, shape.grids);
      const withheld = withheldFrom(known.residency, place).length > 0;
      return withheld ? withhold(item.body, decoded, shape) : { ...decoded, body: item.body };
    };
  }

  async #lookUp<T>(
    items: readonly TelemetryItem[],
    keyOf: (item: TelemetryItem) => string,
    find: (key: string) => Promise<T | null>,
  ): Promise<Map<string, T>> {
    const found = new Map<string, T>();
    for (const key of new Set(items.map(keyOf))) {
      const value = await find(key);
      if (value !== null) found.set(key, value);
    }
    return found;
  }
}

function missed({ agentId, sequence }: TelemetryItem): never {
  throw new Error(`window ${sequence} of ${agentId} was not checked`);
}

function refusalOf([item, { reason, detail }]: [TelemetryItem, Refused]): Refusal {
  const { agentId } = item;
  const deployment = reason === 'unknown-deployment' ? '' : item.deployment;
  return { agentId, deployment, reason, detail };
}

/** Once for each host and deployment: a host that goes on sending is one violation, and its windows are counted. */
async function recordViolations(
  tx: Transaction,
  first: readonly Refusal[],
  now: number,
): Promise<void> {
  for (const { agentId, deployment, reason, detail } of first) {
    if (reason !== 'residency') continue;
    const what = { what: 'telemetry', agent: agentId, outcome: detail };
    await record(
      tx,
      now,
      `agent:${agentId}`,
      'residency.refused',
      `deployment:${deployment}`,
      what,
    );
  }
}

/** The hours that windows were merged under, each once. */
function hoursOf(items: readonly TelemetryItem[]): readonly RollupKey[] {
  const keys = new Map<string, RollupKey>();
  for (const { deployment, manifest, arm, agentId, windowStartMs } of items) {
    const startMs = windowStartMs - (windowStartMs % HOUR_MS);
    const key = { deployment, manifest, arm, levelMs: HOUR_MS, startMs, agentId };
    keys.set(Object.values(key).join(' '), key);
  }
  return [...keys.values()];
}

/** What came before its host knew that it should not have been sent: it is not kept, and the rest is. */
function withhold(body: Uint8Array, decoded: Decoded, { grids }: MonitorShape): Checked {
  if (decoded.kind === 'refused') return decoded;
  const rest = withoutOutcomes(body).body;
  return { ...decodeOnGrids(rest, grids), body: rest };
}

/** A window, and as which bytes it is kept. */
type Checked = (Decoded & { readonly body: Uint8Array }) | Refused;

type Sum = { readonly kind: 'sum'; readonly sum: Folded } | Refused;

/** Counts that no longer fit are that host's trouble: thrown, they would fail every window in the group, for ever. */
function add(stored: Folded | null, window: WindowSketch, came: Uint8Array): Sum {
  try {
    const sum = {
      requests: (stored?.requests ?? 0) + window.requests,
      rows: (stored?.rows ?? 0) + window.rows,
      errors: (stored?.errors ?? 0) + window.errors,
      body: foldWindow(stored?.body ?? null, window, came),
    };
    return { kind: 'sum', sum };
  } catch (cause) {
    if (!(cause instanceof SketchError)) throw cause;
    return refused('overflow', cause.message);
  }
}

function pairOf({ agentId, deployment }: Assignment): string {
  return `${agentId} ${deployment}`;
}
