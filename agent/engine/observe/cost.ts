import type { CostSketch } from '../../../protocol/sketch/cost.ts';

const HOUR_MS = 3_600_000;
const MICROS = 1_000_000;

/** What one arm has computed since the meter was last read. */
export class ArmCost {
  readonly #cost: () => CostSketch;
  #busyMs = 0;

  /** @param cost where it is counted: that of the window that is open */
  constructor(cost: () => CostSketch) {
    this.#cost = cost;
  }

  get busyMs(): number {
    return this.#busyMs;
  }

  /** One call of the model; calls that share rows count once. */
  computed(ms: number): void {
    this.#busyMs += ms;
  }

  /** Counts what was computed, and what of the device falls on it. */
  settle(priceMicros: number, idleMicros: number, energyJ: number): void {
    const cost = this.#cost();
    cost.computeUs += this.#busyMs * 1000;
    cost.priceMicros += priceMicros;
    cost.idleMicros += idleMicros;
    cost.energyJ += energyJ;
    this.#busyMs = 0;
  }
}

export interface DevicePrice {
  /** Of one device-hour, in the agent's currency; null: not known. */
  readonly perHour: number | null;
  /** Engines that share the device in equal parts. */
  readonly engines: number;
}

/**
 * Divides what a device costs among the arms of one engine.
 *
 *     interval   ├─────── wall time × price per hour / engines ───────┤
 *     arms       ├─ A's calls ─┤├─ B's ─┤├──────────── idle ──────────┤
 *                   price of A   price of B   divided by compute time
 *
 * An arm pays for the time inside its model, and beside it, told apart, for its part of the idle time. Together they
 * are what the engine cost, unless nothing was computed between two readings: that time is nobody's. Where several
 * threads compute at once and their calls add up to more than the wall time, it is divided among them and none is idle.
 */
export class CostMeter {
  readonly #microsPerMs: number;
  readonly #arms = new Set<ArmCost>();
  #settledMs: number;

  /** @param nowMs the clock that `settle` is told */
  constructor({ perHour, engines }: DevicePrice, nowMs: number) {
    this.#microsPerMs = ((perHour ?? 0) * MICROS) / HOUR_MS / engines;
    this.#settledMs = nowMs;
  }

  arm(cost: () => CostSketch): ArmCost {
    const arm = new ArmCost(cost);
    this.#arms.add(arm);
    return arm;
  }

  /** What it computed until now must have been settled: nothing of it is counted any more. */
  remove(arm: ArmCost): void {
    this.#arms.delete(arm);
  }

  /**
   * Counts the time since the last reading. Called before windows are cut.
   *
   * @param energyJ what this engine used since then; null where it can't be read
   */
  settle(nowMs: number, energyJ: number | null): void {
    const wallMs = nowMs - this.#settledMs;
    this.#settledMs = nowMs;
    let totalMs = 0;
    for (const { busyMs } of this.#arms) totalMs += busyMs;
    if (totalMs === 0) return;
    const perMs = this.#microsPerMs * (wallMs / Math.max(wallMs, totalMs));
    const idleMicros = this.#microsPerMs * Math.max(0, wallMs - totalMs);
    for (const arm of this.#arms) {
      const { busyMs } = arm;
      if (busyMs === 0) continue;
      const part = busyMs / totalMs;
      arm.settle(busyMs * perMs, idleMicros * part, (energyJ ?? 0) * part);
    }
  }
}
