import type { Digest } from '../../../protocol/ids.ts';
import type { LongestCall } from '../snapshot.ts';

/** What is known of one engine when it is looked at. */
export interface Pulse {
  readonly ordinal: number;
  /** Messages that have come from it since its start: one more is a sign of life. */
  readonly heard: number;
  /** It has been told to open versions and has not answered: that blocks its thread for as long as it takes. */
  readonly opening: boolean;
  /** As its last snapshot said; null: no worker thread computes. */
  readonly longestCall: LongestCall | null;
}

/** Why an engine is taken for hung. */
export type Hang =
  /** Its own thread does not come back; `opening`: from versions that it opens. */
  | { readonly kind: 'silent'; readonly forMs: number; readonly opening: boolean }
  /** One call on a worker thread does not come back. */
  | { readonly kind: 'call'; readonly forMs: number; readonly manifest: Digest };

export interface WatchdogBounds {
  /** Of a silence, and of a call on a worker thread. */
  readonly hangMs: number;
  /** Of a silence while versions are opened, if that is longer. */
  readonly openingMs: number;
  /** Of two looks that follow each other: longer than that the watching process itself stood still. */
  readonly maxStepMs: number;
}

interface Watched {
  readonly heard: number;
  readonly silentMs: number;
  /** It has taken up an opening: commands are answered in their order, so one that was silent before has not. */
  readonly opens: boolean;
  readonly callMs: number;
  /** As the engine stated it. */
  readonly statedMs: number;
}

const FRESH: Watched = { heard: -1, silentMs: 0, opens: false, callMs: 0, statedMs: 0 };

/**
 * Tells engines that hang from those that are busy, by time in which somebody looked: what passed while the watching
 * process itself was stopped (a suspended machine, a frozen container, a debugger) counts as one step at most, or all
 * engines would be killed at its end. The clock comes in with each look.
 */
export class Watchdog {
  readonly #bounds: WatchdogBounds;
  #watched = new Map<number, Watched>();
  #lastMs: number | null = null;

  constructor(bounds: WatchdogBounds) {
    this.#bounds = bounds;
  }

  /** Those that hang, by ordinal. Of engines that are not among `pulses` nothing is remembered. */
  look(nowMs: number, pulses: readonly Pulse[]): Map<number, Hang> {
    const { maxStepMs } = this.#bounds;
    const stepMs = this.#lastMs === null ? 0 : Math.min(nowMs - this.#lastMs, maxStepMs);
    this.#lastMs = nowMs;
    const hangs = new Map<number, Hang>();
    const watched = new Map<number, Watched>();
    for (const pulse of pulses) {
      const now = step(this.#watched.get(pulse.ordinal) ?? FRESH, pulse, stepMs);
      watched.set(pulse.ordinal, now);
      const hang = this.#judge(now, pulse);
      if (hang !== null) hangs.set(pulse.ordinal, hang);
    }
    this.#watched = watched;
    return hangs;
  }

  #judge({ silentMs, opens, callMs }: Watched, { longestCall }: Pulse): Hang | null {
    const { hangMs, openingMs } = this.#bounds;
    if (silentMs >= (opens ? Math.max(hangMs, openingMs) : hangMs)) {
      return { kind: 'silent', forMs: silentMs, opening: opens };
    }
    if (longestCall === null || callMs < hangMs) return null;
    return { kind: 'call', forMs: callMs, manifest: longestCall.manifest };
  }
}

function step(before: Watched, { heard, opening, longestCall }: Pulse, stepMs: number): Watched {
  const spoke = heard !== before.heard;
  const statedMs = longestCall?.ms ?? 0;
  return {
    heard,
    silentMs: spoke ? 0 : before.silentMs + stepMs,
    opens: spoke ? opening : before.opens || (opening && before.silentMs === 0),
    // A younger one than before is another call: its age is taken as stated.
    callMs: statedMs < before.statedMs ? statedMs : Math.min(statedMs, before.callMs + stepMs),
    statedMs,
  };
}

/** Is an end of this kind put down to what was being opened, before anything else? Of a crash nobody knows better. */
export function blamesOpening(hang: Hang | null): boolean {
  return hang === null || (hang.kind === 'silent' && hang.opening);
}

/** For logs and evidence: `hung (no answer for 61 s)`. */
export function showHang(hang: Hang): string {
  const seconds = Math.round(hang.forMs / 1000);
  return hang.kind === 'silent'
    ? `hung (no answer for ${seconds} s)`
    : `hung (a call on a worker thread took ${seconds} s)`;
}
