import type { LabelStatus } from '../engine/posted-label.ts';

/** What a host has to say of labels, by deployment. */
export interface LabelFigures {
  readonly deployment: string;
  readonly labels: Readonly<Record<LabelStatus, number>>;
  readonly rows: number;
  readonly bytes: number;
  readonly evicted: number;
  /** Changes that detectors have found, by their kind. */
  readonly drifts: Readonly<Record<string, number>>;
}
