import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ModelFiles } from '../../agent/engine/messages.ts';

/** Compiled, this file lies in dist/bench/support; the example stays where it is. */
const ROOT = resolve(import.meta.dirname, '../../..');
const EXAMPLE = join(ROOT, 'control-plane/examples/mortgage');
const FEATURES = 10;

export const INFER_PATH = '/v2/models/mortgage/infer';

/** The rows of the example's held-out traffic, in file order. */
export async function trafficRows(): Promise<number[][]> {
  const text = await readFile(join(EXAMPLE, 'traffic.csv'), 'utf8');
  const [, ...lines] = text.trim().split('\n');
  return lines.map((line) => line.split(',').slice(0, FEATURES).map(Number));
}

export function inferBody(rows: readonly (readonly number[])[]): string {
  const shape = [rows.length, FEATURES];
  return JSON.stringify({
    inputs: [{ name: 'features', datatype: 'FP32', shape, data: rows.flat() }],
  });
}

/** Version 1 of the example with its manifest, profile and golden vectors, made in `folder`. */
export async function describeMortgage(folder: string): Promise<ModelFiles> {
  const modelPath = join(EXAMPLE, 'v1.onnx');
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(ROOT, 'dist/agent/main.js'),
    'describe',
    ...['--model', modelPath, '--name', 'mortgage', '--out', folder],
    ...['--baseline', join(EXAMPLE, 'baseline.csv'), '--manifest', join(EXAMPLE, 'manifest.json')],
  ]);
  const { manifest } = JSON.parse(stdout) as { manifest: string };
  return {
    manifest,
    modelPath,
    manifestPath: join(folder, 'manifest.json'),
    profilePath: join(folder, 'profile.json'),
    goldenPath: join(folder, 'golden.json'),
  };
}
