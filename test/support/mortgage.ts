import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ModelFiles } from '../../agent/engine/messages.ts';

const run = promisify(execFile);

export const MORTGAGE = resolve(import.meta.dirname, '../../control-plane/examples/mortgage');
export const FEATURES = 10;

/** Rows of a CSV of the example, features first, as numbers. */
export async function mortgageRows(file: 'traffic' | 'baseline'): Promise<number[][]> {
  const text = await readFile(join(MORTGAGE, `${file}.csv`), 'utf8');
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));
}

export function inferBody(rows: readonly (readonly number[])[], id?: string): string {
  const data = rows.flatMap((row) => row.slice(0, FEATURES));
  const inputs = [{ name: 'features', datatype: 'FP32', shape: [rows.length, FEATURES], data }];
  return JSON.stringify(id === undefined ? { inputs } : { id, inputs });
}

export interface DescribedVersion {
  readonly folder: string;
  readonly files: ModelFiles;
}

/** Runs the real `describe` on a model of the example and says where its documents are. */
export async function describeMortgage(
  version: 'v1' | 'v2' | 'v3',
  folder: string,
): Promise<DescribedVersion> {
  const out = join(folder, version);
  const model = join(MORTGAGE, `${version}.onnx`);
  const main = resolve(import.meta.dirname, '../../dist/agent/main.js');
  const { stdout } = await run(process.execPath, [
    main,
    'describe',
    '--model',
    model,
    '--name',
    'mortgage',
    '--baseline',
    join(MORTGAGE, 'baseline.csv'),
    '--manifest',
    join(MORTGAGE, 'manifest.json'),
    '--out',
    out,
  ]);
  const { manifest } = JSON.parse(stdout) as { manifest: string };
  return {
    folder: out,
    files: {
      manifest,
      manifestPath: join(out, 'manifest.json'),
      modelPath: model,
      profilePath: join(out, 'profile.json'),
      goldenPath: join(out, 'golden.json'),
    },
  };
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'driftline-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
