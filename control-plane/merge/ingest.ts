import type { Digest } from '../../protocol/ids.ts';
import { SketchError } from '../../protocol/sketch/error.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import type { MonitorShape } from '../decide/drift-monitor.ts';
import type { Store } from '../store/database.ts';
import { findDeployment } from '../store/deployments.ts';
import {
  type Committed,
  commitTelemetry,
  type Folded,
  type TelemetryItem,
} from '../store/telemetry.ts';
import { decodeOnGrids, foldWindow } from './fold.ts';

/** Windows per transaction. One fsync for all of them; more would hold up reports and rollbacks. */
export const MAX_GROUP = 256;
/** How long the first window of a group waits for company. */
const GROUP_WAIT_MS = 5;

/** A window that is in the database now. */
export interface MergedWindow {
  readonly item: TelemetryItem;
  readonly window: WindowSketch;
}

export interface IngestDeps {
  readonly store: Store;
  readonly shapeOf: (manifest: Digest) => Promise<MonitorShape | null>;
  readonly now: () => number;
  /** After the commit, before the acks. Must not throw. */
  readonly onMerged: (merged: readonly MergedWindow[]) => void;
  readonly onRefused: (item: TelemetryItem, reason: string) => void;
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
    const shapes = await this.#lookUp(items, (item) => item.manifest, this.#deps.shapeOf);
    const deployments = await this.#lookUp(
      items,
      (item) => item.deployment,
      (name) => findDeployment(this.#deps.store.read, name),
    );
    const windows = new Map<TelemetryItem, WindowSketch>();
    const reasons = new Map<TelemetryItem, string>();
    const fold = (stored: Folded | null, item: TelemetryItem): Folded | null => {
      const decoded = deployments.has(item.deployment)
        ? decode(item, shapes.get(item.manifest))
        : { kind: 'refused' as const, reason: `no deployment "${item.deployment}"` };
      if (decoded.kind === 'refused') {
        reasons.set(item, decoded.reason);
        return null;
      }
      const folded = add(stored, decoded.window);
      if (folded.kind === 'refused') {
        reasons.set(item, folded.reason);
        return null;
      }
      windows.set(item, decoded.window);
      return folded.sum;
    };
    const { merged, refused }: Committed = await this.#deps.store.write((tx) =>
      commitTelemetry(tx, items, fold, this.#deps.now()),
    );
    for (const item of refused) this.#deps.onRefused(item, reasons.get(item) ?? 'unknown');
    return merged.flatMap((item) => {
      const window = windows.get(item);
      return window === undefined ? [] : [{ item, window }];
    });
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

function decode(item: TelemetryItem, shape: MonitorShape | undefined) {
  if (shape !== undefined) return decodeOnGrids(item.body, shape.grids);
  return { kind: 'refused' as const, reason: `no version has the manifest ${item.manifest}` };
}

type Sum =
  | { readonly kind: 'sum'; readonly sum: Folded }
  | { readonly kind: 'refused'; readonly reason: string };

/** Counts that no longer fit are that host's trouble: thrown, they would fail every window in the group, for ever. */
function add(stored: Folded | null, window: WindowSketch): Sum {
  try {
    const sum = {
      requests: (stored?.requests ?? 0) + window.requests,
      rows: (stored?.rows ?? 0) + window.rows,
      errors: (stored?.errors ?? 0) + window.errors,
      body: foldWindow(stored?.body ?? null, window),
    };
    return { kind: 'sum', sum };
  } catch (cause) {
    if (!(cause instanceof SketchError)) throw cause;
    return { kind: 'refused', reason: cause.message };
  }
}

function bootOf({ agentId, boot }: TelemetryItem): string {
  return `${agentId} ${boot}`;
}
