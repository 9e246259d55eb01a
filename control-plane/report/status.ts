import type { GapVerdict } from '../../protocol/statistics/fairness-verdict.ts';
import type { Verdict } from '../reading/feature-view.ts';
import { type Html, html } from './html.ts';

/** `none`: not measured, which is no answer; `insufficient` is one. */
export type Status = Verdict | 'none';

const WORDS: Readonly<Record<Status, string>> = {
  alert: 'alert',
  watch: 'watch',
  ok: 'ok',
  insufficient: 'insufficient data',
  none: 'not judged',
};

/** The worst first; what can't be told comes before what is fine, because somebody has to look at it. */
export const STATUS_ORDER: readonly Status[] = ['alert', 'watch', 'insufficient', 'ok', 'none'];

export function chip(status: Status, words = WORDS[status]): Html {
  return html`<span class="chip ${status}">${words}</span>`;
}

export function worst(statuses: readonly Status[]): Status {
  return STATUS_ORDER.find((status) => statuses.includes(status)) ?? 'none';
}

const OF_GAP: Readonly<Record<GapVerdict, readonly [Status, string]>> = {
  violates: ['alert', 'over the limit'],
  complies: ['ok', 'within the limit'],
  insufficient: ['insufficient', 'insufficient data'],
};

export function statusOfGap(verdict: GapVerdict): Status {
  return OF_GAP[verdict][0];
}

export function gapChip(verdict: GapVerdict): Html {
  return chip(...OF_GAP[verdict]);
}
