import type { AgentId, Digest } from '../../protocol/ids.ts';
import { decodeOnGrids } from '../merge/fold.ts';
import type { MergedWindow } from '../merge/ingest.ts';
import type { EvidenceSource } from '../rollout/driver.ts';
import type { StoredRollout } from '../rollout/stored-rollout.ts';
import type { Store } from '../store/database.ts';
import { windowsBetween } from '../store/telemetry.ts';
import {
  type ArmEvidence,
  type ArmLedger,
  addArmWindow,
  newLedger,
  readEvidence,
} from './compare-arms.ts';
import type { MonitorShape } from './drift-monitor.ts';
import { Monitors } from './monitors.ts';

export interface WatchDeps {
  readonly store: Store;
  readonly shapeOf: (manifest: Digest) => Promise<MonitorShape | null>;
  readonly now: () => number;
  /** A followed rollout has more evidence. Must not throw. */
  readonly onEvidence: (rollout: string) => void;
  readonly onFailure: (where: string, error: unknown) => void;
}

interface Followed {
  readonly rollout: StoredRollout;
  readonly ledger: ArmLedger;
}

/**
 * Looks at what was merged: rollouts' two arms against each other, stable versions against their
 * profiles. Sketches that wait for company are in memory; after a crash a rollout's are read again
 * from the database, a monitor's block (fewer than 200 rows) begins anew.
 */
export class Watch implements EvidenceSource {
  readonly #deps: WatchDeps;
  readonly #followed = new Map<string, Followed>();
  readonly #monitors: Monitors;
  #tail: Promise<void> = Promise.resolve();

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#monitors = new Monitors(deps);
  }

  /** Begins to gather a rollout's evidence, with what the database has of it already. */
  async follow(rollout: StoredRollout): Promise<void> {
    const { plan, row, state } = rollout;
    const stable = await this.#deps.shapeOf(plan.stable.manifest);
    const candidate = await this.#deps.shapeOf(plan.candidate.manifest);
    if (stable === null || candidate === null) return;
    const followed = { rollout, ledger: newLedger({ stable, candidate }) };
    for (const arm of ['stable', 'candidate'] as const) {
      const { manifest } = plan[arm];
      const since = state.startedAtMs - plan.windowMs;
      const rows = await windowsBetween(
        this.#deps.store.read,
        row.deployment,
        since,
        Number.MAX_SAFE_INTEGER,
        manifest,
      );
      for (const stored of rows) {
        if (stored.arm !== arm) continue;
        const decoded = decodeOnGrids(stored.body, followed.ledger.shapes[arm].grids);
        if (decoded.kind === 'refused') continue;
        const { windowStartMs, windowMs } = stored;
        addArmWindow(followed.ledger, arm, windowStartMs, windowMs, decoded.window);
      }
    }
    this.#followed.set(row.id, followed);
  }

  unfollow(id: string): void {
    this.#followed.delete(id);
  }

  evidenceOf(id: string): ArmEvidence | null {
    const followed = this.#followed.get(id);
    return followed === undefined ? null : readEvidence(followed.ledger);
  }

  /** Takes in a committed group. Rollouts are told at once, monitors follow behind. */
  note(merged: readonly MergedWindow[]): void {
    for (const followed of this.#followed.values()) {
      const grown = merged.filter((one) => addToLedger(followed, one)).length;
      if (grown > 0) this.#deps.onEvidence(followed.rollout.row.id);
    }
    this.#tail = this.#tail
      .then(() => this.#monitors.take(merged))
      .catch((error: unknown) => this.#deps.onFailure('drift monitor', error));
  }

  /** A detector on a host found that the stable version errs in another way. */
  async hostDrift(agent: AgentId, detail: string): Promise<void> {
    await this.#monitors.hostDrift(agent, detail);
  }

  /** Resolves when everything noted so far has been judged and written. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}

function addToLedger(followed: Followed, { item, window }: MergedWindow): boolean {
  const { row, plan, state } = followed.rollout;
  if (item.deployment !== row.deployment) return false;
  // Who names a version chooses the traffic it gets: no fair comparison.
  if (item.arm === 'pinned' || item.manifest !== plan[item.arm].manifest) return false;
  // A late outbox may bring windows of an earlier rollout of the same version.
  if (item.windowStartMs < state.startedAtMs - plan.windowMs) return false;
  addArmWindow(followed.ledger, item.arm, item.windowStartMs, item.windowMs, window);
  return true;
}
