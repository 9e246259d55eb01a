import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../agent/engine/model/executor/admit-executor.ts';
import { compileModel, explain } from '../../../../agent/engine/model/executor/compile.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { FEATURES, MORTGAGE, mortgageRows } from '../../../support/mortgage.ts';
import { floats } from '../../../support/random-models.ts';

const runtime = await createNodeRuntime();

describe('the mortgage models on every row of both files', () => {
  it.each(['v1', 'v2', 'v3'])('%s gives what ONNX Runtime gives', async (version) => {
    const bytes = await readFile(join(MORTGAGE, `${version}.onnx`));
    const compiled = compileModel(bytes);
    expect(explain(bytes)).toBeNull();
    if (compiled === null) return;
    const reference = await runtime.open(bytes);
    const rows = [...(await mortgageRows('baseline')), ...(await mortgageRows('traffic'))];
    const features = rows.map((row) => row.slice(0, FEATURES));
    const samples = [features, ...features.map((row) => [row])].map(
      (some) => new Map([['features', floats(some.length, Float32Array.from(some.flat()))]]),
    );
    expect(await agrees(compiled, reference, samples)).toMatchObject({
      kind: 'agrees',
      // A label and two probabilities, for the file as one call and for each row alone.
      values: 2 * 3 * 2380,
    });
    await reference.release();
  });
});
