import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  differences,
  ourAnswer,
  type StockAnswer,
  type StockData,
} from '../protocol/statistics/golden/stock.ts';
import { seededUniform } from '../protocol/statistics/seeded.ts';
import { INSTALL_HOOK_TIMEOUT_MS } from './support/python-checks.ts';
import { type PythonVenv, pythonVenv } from './support/python-venv.ts';
import { skipWithout } from './support/require.ts';

/** Importing the six packages takes 10 s on an idle machine and minutes on a busy one. */
const STOCK_MS = 400_000;

const SCRIPT = resolve(import.meta.dirname, 'python/stock_statistics.py');

/** Data unlike the golden file's: other sizes, other rates, groups of 2 %. */
function draw(seed: number): StockData {
  const uniform = seededUniform(seed);
  const repeat = <T>(rows: number, of: () => T) => Array.from({ length: rows }, of);
  /** Roughly normal with σ = 0.7, by adding up. */
  const bell = () => repeat(6, uniform).reduce((sum, x) => sum + x, -3);
  /** No cell so thin that we would pool it or half a count would show. */
  const whole = (mean: number, sigma: number) => () =>
    Math.min(10, Math.max(2, Math.round(mean + sigma * bell())));
  const group = repeat(2000, () => (uniform() < 0.7 ? 0 : uniform() < 0.9 ? 1 : 2));
  const score = repeat(2000, () => Math.round(1e4 * uniform() ** 2) / 1e4);
  const y = score.map((p) => Number(uniform() < p));
  const classes = repeat(900, () => Math.floor(5 * uniform() ** 2));
  const values = repeat(400, () => 1e4 + 200 * bell());
  return {
    reference: repeat(20_000, whole(6, 2.4)),
    current: repeat(700, whole(6.3, 2.2)),
    decisions: { group, score, y, predicted: score.map((p) => Number(p >= 0.3)) },
    classes: { y: classes, predicted: classes.map((k) => (uniform() < 0.5 ? k : (k + 1) % 5)) },
    values: { y: values, predicted: values.map((x) => x - 3 + 40 * bell()) },
    stream: [0.03, 0.12, 0.5, 0.3].flatMap((rate) => repeat(2000, () => Number(uniform() < rate))),
    pValues: repeat(60, () => uniform() ** 4),
    bins: 64,
  };
}

let venv: PythonVenv = { kind: 'missing', reason: 'not looked for' };

beforeAll(async () => {
  venv = await pythonVenv('statistics');
}, INSTALL_HOOK_TIMEOUT_MS);

async function ask(python: string, data: StockData): Promise<StockAnswer> {
  const child = spawn(python, [SCRIPT], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Bytecode belongs beside the environment, not into the checkout.
    env: { ...process.env, PYTHONPYCACHEPREFIX: `${python}.cache` },
  });
  const exited = once(child, 'exit');
  child.stdin.end(JSON.stringify(data));
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await exited;
  expect(code, errors).toBe(0);
  return JSON.parse(out);
}

describe('SciPy, scikit-learn, Fairlearn, AIF360, Evidently and river', () => {
  it.for([11, 12])(
    'say of the data of seed %i what we say',
    { timeout: STOCK_MS },
    async (seed, context) => {
      if (venv.kind === 'missing') skipWithout(context, venv.reason);
      else {
        const data = draw(seed);
        expect(differences(ourAnswer(data), await ask(venv.python, data))).toEqual([]);
      }
    },
  );
});
