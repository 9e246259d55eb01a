import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import { randomRows, seeded } from '../../test/support/random-models.ts';

/** Compiled, this file lies in dist/bench/support. */
const MAIN = resolve(import.meta.dirname, '../../agent/main.js');
const BASELINE_ROWS = 500;

/** Runs the real `describe` and says where a version's documents lie. */
export async function describeFile(
  folder: string,
  name: string,
  modelPath: string,
  options: { readonly baseline?: string; readonly manifest?: string } = {},
): Promise<ModelFiles> {
  const { baseline, manifest: draft } = options;
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...[MAIN, 'describe', '--model', modelPath, '--name', name, '--out', folder],
    ...(baseline === undefined ? [] : ['--baseline', baseline]),
    ...(draft === undefined ? [] : ['--manifest', draft]),
  ]);
  const { manifest } = JSON.parse(stdout) as { manifest: string };
  return {
    manifest,
    modelPath,
    manifestPath: join(folder, 'manifest.json'),
    profilePath: baseline === undefined ? null : join(folder, 'profile.json'),
    goldenPath: baseline === undefined ? null : join(folder, 'golden.json'),
  };
}

/** Writes a model of ours and describes it; `features` columns of random rows are its baseline, 0 for none. */
export async function describeMade(
  parent: string,
  name: string,
  bytes: Uint8Array,
  features: number,
): Promise<ModelFiles> {
  const modelPath = join(parent, `${name}.onnx`);
  await writeFile(modelPath, bytes);
  const out = join(parent, name);
  if (features === 0) return describeFile(out, name, modelPath);
  const baseline = join(parent, `${name}.csv`);
  const values = randomRows(BASELINE_ROWS, features, seeded(1));
  const lines = [Array.from({ length: features }, (_, at) => `f${at}`).join()];
  for (let row = 0; row < BASELINE_ROWS; row += 1) {
    lines.push(values.subarray(row * features, (row + 1) * features).join());
  }
  await writeFile(baseline, `${lines.join('\n')}\n`);
  return describeFile(out, name, modelPath, { baseline });
}
