import type { Manifest } from '../../protocol/manifest.ts';
import { type Profile, windowGrids } from '../../protocol/profile.ts';
import { encodeWindow } from '../../protocol/sketch/codec.ts';
import { addLatency } from '../../protocol/sketch/latency.ts';
import { addToMoments } from '../../protocol/sketch/moments.ts';
import { emptyWindow, type FeatureSketch } from '../../protocol/sketch/window.ts';

/** Windows that are made ahead and sent in turn: making one takes longer than sending it. */
const DIFFERENT_WINDOWS = 32;

/**
 * Encoded windows of one version, as its hosts would send them if the world were as its baseline: each row's values are
 * drawn from the baseline's own sketches, feature by feature. Outcomes, tensors and hashed categories stay empty.
 */
export function drawWindows(
  manifest: Manifest,
  profile: Profile | null,
  rows: number,
  random: () => number,
): readonly Uint8Array[] {
  return Array.from({ length: DIFFERENT_WINDOWS }, () => {
    const window = emptyWindow(windowGrids(manifest, profile));
    window.requests = rows;
    window.rows = rows;
    for (let row = 0; row < rows; row += 1) {
      addLatency(window.latency, 500 + 1_000 * random() ** 4);
    }
    if (profile === null) return encodeWindow(window);
    const { features, prediction } = profile.reference;
    for (const [at, feature] of window.features.entries()) {
      draw(feature, features[at], rows, random);
    }
    draw(window.prediction, prediction, rows, random);
    return encodeWindow(window);
  });
}

function draw(into: FeatureSketch, from: FeatureSketch, rows: number, random: () => number): void {
  if (into.kind === 'hashed' || from.kind === 'hashed') return;
  const total = from.counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return;
  for (let row = 0; row < rows; row += 1) {
    let rest = random() * total;
    let cell = 0;
    while (cell < from.counts.length - 1 && rest >= from.counts[cell]) {
      rest -= from.counts[cell];
      cell += 1;
    }
    into.counts[cell] += 1;
    if (into.kind !== 'numeric' || from.kind !== 'numeric') continue;
    // As the values of FP32 tensors are: others take four bytes more for the smallest and the largest.
    const value = Math.fround(from.sums[cell] / Math.max(1, from.counts[cell]));
    into.sums[cell] += value;
    addToMoments(into.moments, value);
  }
}
