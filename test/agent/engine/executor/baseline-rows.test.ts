import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agrees } from '../../../../agent/engine/model/executor/admit-executor.ts';
import {
  baselineRows,
  QUANTILE_ROWS,
} from '../../../../agent/engine/model/executor/baseline-rows.ts';
import { compileModel } from '../../../../agent/engine/model/executor/compile.ts';
import { goldenInputs, parseGolden } from '../../../../agent/engine/model/golden.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { type Manifest, parseManifest } from '../../../../protocol/manifest.ts';
import { type Profile, parseProfile } from '../../../../protocol/profile.ts';
import {
  describeMortgage,
  FEATURES,
  MORTGAGE,
  temporaryFolder,
} from '../../../support/mortgage.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let manifest: Manifest;
let profile: Profile;
let golden: Map<string, Tensor>;
beforeAll(async () => {
  folder = await temporaryFolder();
  const { files } = await describeMortgage('v1', folder.path);
  manifest = parseManifest(await readFile(files.manifestPath));
  profile = parseProfile(await readFile(files.profilePath ?? ''));
  golden = goldenInputs(parseGolden(await readFile(files.goldenPath ?? '')));
});
afterAll(() => folder.remove());

function drawn(of: Profile = profile): { rows: number; column(at: number): number[] } {
  const tensor = baselineRows(manifest, of, golden)?.get('features');
  if (tensor === undefined) throw new Error('no rows were drawn');
  const [rows] = tensor.shape;
  const data = tensor.data as Float32Array;
  const column = (at: number) =>
    Array.from({ length: rows }, (_, row) => data[row * FEATURES + at]);
  return { rows, column };
}

describe('rows drawn from a baseline', () => {
  it('are the same at every start', () => {
    expect(baselineRows(manifest, profile, golden)).toEqual(
      baselineRows(manifest, profile, golden),
    );
  });

  it('fall into the bins as the baseline did, and reach both of its ends', () => {
    const { rows, column } = drawn();
    expect(rows).toBeGreaterThanOrEqual(QUANTILE_ROWS);
    for (const [at, { grid }] of profile.features.entries()) {
      const sketch = profile.reference.features[at];
      if (grid.kind !== 'numeric' || sketch.kind !== 'numeric') continue;
      const quantiles = column(at).slice(0, QUANTILE_ROWS);
      const { min, max, count } = sketch.moments;
      expect(Math.min(...quantiles)).toBeGreaterThanOrEqual(Math.fround(min));
      expect(Math.max(...quantiles)).toBeLessThanOrEqual(Math.fround(max));
      const middle = grid.edges[Math.floor(grid.edges.length / 2)];
      const bins = Math.floor(grid.edges.length / 2) + 1;
      const below = sketch.counts.slice(0, bins).reduce((sum, one) => sum + one, 0) / count;
      const drawnBelow = quantiles.filter((value) => value < middle).length / QUANTILE_ROWS;
      expect(Math.abs(drawnBelow - below)).toBeLessThan(0.02);
    }
  });

  it('hold every edge of every histogram and its neighbours in float32', () => {
    const { column } = drawn();
    for (const [at, { grid }] of profile.features.entries()) {
      if (grid.kind !== 'numeric') continue;
      const values = new Set(column(at));
      for (const edge of grid.edges) {
        expect(values).toContain(Math.fround(edge));
        const near = [...values].filter((value) => Math.abs(value / edge - 1) < 1e-6);
        if (edge !== 0) expect(near.length).toBeGreaterThanOrEqual(3);
      }
    }
  });

  it('have gaps where the baseline had some', () => {
    expect(drawn().column(0).some(Number.isNaN)).toBe(false);
    const [first, ...rest] = profile.reference.features;
    const features = [{ ...first, missing: 3 }, ...rest];
    const gaps = { ...profile, reference: { ...profile.reference, features } };
    const missing = drawn(gaps).column(0).filter(Number.isNaN).length;
    expect(missing / drawn(gaps).rows).toBeCloseTo(1 / 16, 2);
  });

  it('are none where nothing is described', () => {
    expect(baselineRows(manifest, { ...profile, features: [] }, golden)).toBeNull();
  });

  it('are answered by the executor as by ONNX Runtime', async () => {
    const bytes = await readFile(join(MORTGAGE, 'v1.onnx'));
    const compiled = compileModel(bytes);
    const reference = await (await createNodeRuntime()).open(bytes);
    const rows = baselineRows(manifest, profile, golden);
    if (compiled === null || rows === null) throw new Error('nothing to compare');
    const agreement = await agrees(compiled, reference, [rows]);
    expect(agreement).toMatchObject({ kind: 'agrees' });
    await reference.release();
  });
});
