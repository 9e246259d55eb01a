/** The place that a decision id names; see `engine/window-clock.ts`. */
export interface DecisionPlace {
  readonly windowStartMs: number;
  /** Which engine process answered. */
  readonly engine: number;
  /** Number of the request's first row in that engine. */
  readonly row: number;
}

const FORM = /^[0-9a-f]{1,12}\.([0-9a-z]{1,11})\.([0-9a-z]{1,11})\.([0-9a-z]{1,11})$/;

/** Null for text that is no decision id. */
export function parseDecisionId(id: string): DecisionPlace | null {
  const parts = FORM.exec(id);
  if (parts === null) return null;
  const [windowStartMs, engine, row] = parts.slice(1).map((part) => Number.parseInt(part, 36));
  const safe = [windowStartMs, engine, row].every(Number.isSafeInteger);
  return safe ? { windowStartMs, engine, row } : null;
}
