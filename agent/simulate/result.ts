/** What holding the fleet costs. */
export interface Held {
  /** Resident memory more than before the first agent, by their number. */
  readonly bytesPerAgent: number;
  /** Of the worst quarter of a minute. */
  readonly eventLoopDelayP99Ms: number;
}

/** Of the whole run, from half a minute after the last agent was linked, where it is longer. */
export interface ControlPlaneFigures extends Held {
  readonly rssMB: number;
  /** From then until the first rollback: links are up and windows come. Null where that is no time. */
  readonly quiet: Held | null;
}

export interface Spread {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lastMs: number;
  /** Agents that have said that they serve what was asked for. */
  readonly confirmed: number;
}

type Times = Omit<Spread, 'confirmed'>;

/** When agents had said that they serve what was asked for, by their own clock. */
export interface Rollback extends Spread {
  /** When the documents had come to the agents. */
  readonly told: Times;
  /** When their reports had come to the control plane: from request to acknowledgement, by its clock, in whole milliseconds. */
  readonly acknowledged: Spread;
  /**
   * Documents that were parsed against their schema, verified and kept after their agent had answered, as here all are:
   * hosts do it at the same time and take about a millisecond for it (`late-checks.ts`).
   */
  readonly verifiedLate: number;
  /** Acknowledged, p99 of each that was measured, in their order; what is told here is the median of them. */
  readonly p99OfEachMs: readonly number[];
  /** Acknowledgements of the one that fewest agents confirmed. */
  readonly leastConfirmed: number;
}

export interface SimulationResult {
  readonly agents: number;
  readonly connected: number;
  /** From the first start of an agent until the last was linked. */
  readonly linkedAfterMs: number;
  readonly windowsProduced: number;
  readonly windowsMerged: number;
  /** Not acknowledged two minutes after the last was made. */
  readonly windowsWaiting: number;
  readonly windowsDropped: number;
  readonly duplicatesRefused: number;
  readonly rollback: Rollback | null;
  readonly controlPlane: ControlPlaneFigures;
  /** What agents could not do, and how often. */
  readonly failures: Readonly<Record<string, number>>;
}

/** @param afterMs ascending */
export function spreadOf(afterMs: readonly number[]): Spread {
  const at = (q: number) =>
    Math.round(10 * (afterMs[Math.min(afterMs.length - 1, Math.floor(q * afterMs.length))] ?? 0)) /
    10;
  return { p50Ms: at(0.5), p99Ms: at(0.99), lastMs: at(1), confirmed: afterMs.length };
}

export function sayResult(result: SimulationResult): string {
  const { agents, connected, windowsProduced, windowsMerged, rollback, controlPlane } = result;
  const missing = windowsProduced - windowsMerged;
  const exact =
    missing === 0
      ? 'exactly once each'
      : `${Math.abs(missing)} ${missing > 0 ? 'missing' : 'too many'}`;
  const lines = [
    `agents         ${connected} of ${agents} linked, after ${(result.linkedAfterMs / 1000).toFixed(1)} s`,
    `windows        ${windowsProduced} made, ${windowsMerged} merged: ${exact}; ${result.duplicatesRefused} came again`,
    `control plane  ${controlPlane.rssMB} MB, ${controlPlane.bytesPerAgent} bytes an agent, event loop late by ${controlPlane.eventLoopDelayP99Ms} ms (p99 of the worst 15 s)`,
  ];
  const { quiet } = controlPlane;
  if (quiet !== null && rollback !== null) {
    const { bytesPerAgent, eventLoopDelayP99Ms } = quiet;
    lines.push(`  left alone   ${bytesPerAgent} bytes an agent, late by ${eventLoopDelayP99Ms} ms`);
  }
  if (rollback !== null) {
    const { confirmed, told, acknowledged, verifiedLate, p99OfEachMs } = rollback;
    const said = ({ p50Ms, p99Ms, lastMs }: Times) =>
      `p50 ${p50Ms} ms, p99 ${p99Ms} ms, last ${lastMs} ms`;
    lines.push(
      `rollback       ${confirmed} of ${agents} confirmed, ${verifiedLate} documents verified after that`,
      `  told         ${said(told)}`,
      `  answered     ${said(rollback)}`,
      `  acknowledged ${said(acknowledged)} (by the control plane's clock)`,
    );
    if (p99OfEachMs.length > 1) {
      const least = `at least ${rollback.leastConfirmed} confirmed each`;
      lines.push(`  p99 of each  ${p99OfEachMs.join(', ')} ms; ${least}`);
    }
  }
  for (const [reason, times] of Object.entries(result.failures))
    lines.push(`failed         ${times} × ${reason}`);
  return `${lines.join('\n')}\n`;
}
