/**
 * One monitored stream (a feature, the prediction, a rate) of one version of one deployment.
 *
 *                     first block          M ≥ A/100           M ≥ A and effect ≥ floor
 *     insufficient ─────────────▶ ok ─────────────────▶ watch ─────────────────▶ alert
 *                                 ▲ ◀─────────────────────┘  M < A/100             │
 *                                 └────────────────────────────────────────────────┘
 *                                         effect < ½ floor in CALM_BLOCKS blocks in a row
 *
 * M is a Shiryaev–Roberts e-detector: its alarms keep a false-alarm budget however often one
 * looks. The effect floor keeps a large fleet from paging over what is certain and tiny, and the
 * hysteresis keeps a stream on the edge from opening an alert every other minute.
 */
import { INITIAL_LOG_M, nextLogM } from '../../protocol/statistics/e-detector.ts';

interface Evidence {
  /** ln M; null is ln 0, which JSON can't hold. */
  readonly logM: number | null;
}

export type StreamState =
  | ({ readonly kind: 'insufficient' } & Evidence)
  | ({ readonly kind: 'ok' } & Evidence)
  | ({ readonly kind: 'watch' } & Evidence)
  | ({
      readonly kind: 'alert';
      readonly sinceMs: number;
      /** Blocks in a row below half the floor. */
      readonly calm: number;
    } & Evidence);

export const NEW_STREAM: StreamState = { kind: 'insufficient', logM: null };

/** Blocks below half the floor that end an alert (`research/monitoring.md` (iii) D). */
export const CALM_BLOCKS = 3;

const LOG_WATCH = Math.log(100);

/** What one block says of one stream. */
export interface Observation {
  readonly logE: number;
  /** In the unit of `floor`. */
  readonly effect: number;
  /** Smallest effect worth a person's time. */
  readonly floor: number;
}

/**
 * The state after one more block.
 *
 * @param logLevel ln A, from the false-alarm budget
 * @param atMs when the block ended
 */
export function stepStream(
  state: StreamState,
  seen: Observation,
  logLevel: number,
  atMs: number,
): StreamState {
  if (state.kind === 'alert') {
    const calm = seen.effect < seen.floor / 2 ? state.calm + 1 : 0;
    // Evidence begins anew: what raised this alert must not raise the next one too.
    return calm >= CALM_BLOCKS ? { kind: 'ok', logM: null } : { ...state, calm };
  }
  const logM = nextLogM(state.logM ?? INITIAL_LOG_M, seen.logE);
  if (logM >= logLevel && seen.effect >= seen.floor) {
    return { kind: 'alert', logM: null, sinceMs: atMs, calm: 0 };
  }
  const kept = Number.isFinite(logM) ? logM : logM > 0 ? Number.MAX_VALUE : null;
  return { kind: logM >= logLevel - LOG_WATCH ? 'watch' : 'ok', logM: kept };
}
