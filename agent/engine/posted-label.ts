/** The truth about one answered row, as a caller reports it. Plain data: it crosses a process boundary. */
export interface PostedLabel {
  /** Which answer: by its decision id, or by the id that the caller gave with the request. */
  readonly by: 'decision' | 'caller';
  readonly id: string;
  /** Place of the row in its request. */
  readonly row: number;
  readonly label: string | number | boolean;
}

/**
 * `joined`: counted in the window of the prediction. `duplicate`: said before, the same. `conflicting`: said before,
 * and otherwise: the first one stays. `unknown`: no such row is known (yet): it is kept for a while, in case it comes.
 * `expired`: the row was known once and is no longer remembered. `invalid`: no label of this model.
 */
export const LABEL_STATUSES = [
  'joined',
  'duplicate',
  'conflicting',
  'unknown',
  'expired',
  'invalid',
] as const;
export type LabelStatus = (typeof LABEL_STATUSES)[number];

export interface LabelResult {
  readonly status: LabelStatus;
  /** Start of the window that the prediction was counted in; where it is known. */
  readonly windowStartMs?: number;
  /** What is wrong, or what is known instead. */
  readonly detail?: string;
}
