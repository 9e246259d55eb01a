import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import { describeFile } from './described.ts';
import { jsonRequest } from './requests.ts';

/** Compiled, this file lies in dist/bench/support; the example stays where it is. */
export const EXAMPLE = resolve(import.meta.dirname, '../../../control-plane/examples/mortgage');
const FEATURES = 10;

/** One JSON request for each row of the example's held-out traffic, in file order. */
export async function mortgageRequests(): Promise<Buffer[]> {
  const text = await readFile(join(EXAMPLE, 'traffic.csv'), 'utf8');
  const [, ...lines] = text.trim().split('\n');
  return lines.map((line) => {
    const data = line.split(',').slice(0, FEATURES).map(Number);
    return jsonRequest('mortgage', { shape: [1, FEATURES], data }, 'features');
  });
}

/** Their bodies alone, for a client that brings its own headers. */
export async function mortgageBodies(): Promise<Buffer[]> {
  return (await mortgageRequests()).map((whole) => whole.subarray(whole.indexOf('\r\n\r\n') + 4));
}

/** Version 1 of the example with its manifest, profile and golden vectors, made in `folder`. */
export function describeMortgage(folder: string, model = 'v1.onnx'): Promise<ModelFiles> {
  return describeFile(folder, 'mortgage', join(EXAMPLE, model), {
    baseline: join(EXAMPLE, 'baseline.csv'),
    manifest: join(EXAMPLE, 'manifest.json'),
  });
}
