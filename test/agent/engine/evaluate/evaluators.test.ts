import { afterEach, describe, expect, it } from 'vitest';
import {
  type Evaluation,
  EvaluationQueue,
} from '../../../../agent/engine/evaluate/evaluation-queue.ts';
import type { EvaluatorConfig } from '../../../../protocol/evaluator.ts';
import { decodeWindow } from '../../../../protocol/sketch/codec.ts';
import { type EvaluatorSketch, mergeEvaluators } from '../../../../protocol/sketch/evaluator.ts';
import { type LabelHost, startLabelHost } from '../../../support/label-host.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const text = identityModel([{ name: 'text', datatype: 'BYTES', shape: [-1, 1] }]);
const number = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]);

let host: LabelHost | null = null;
afterEach(async () => {
  await host?.stop();
  host = null;
});

async function start(answering: typeof text, evaluators: readonly EvaluatorConfig[]) {
  host = await startLabelHost({
    answers: {
      spec: answering,
      manifest: {},
      monitoring: { evaluators: [...evaluators] },
      windowMs: 500,
    },
    scorer: { spec: number, manifest: {} },
  });
  return host;
}

async function ask(url: string, data: readonly (string | number)[]): Promise<number> {
  const [name, datatype] = typeof data[0] === 'string' ? ['text', 'BYTES'] : ['x', 'FP32'];
  const inputs = [{ name, datatype, shape: [data.length, 1], data }];
  const body = JSON.stringify({ inputs });
  const { status } = await fetch(`${url}/v2/models/answers/infer`, { method: 'POST', body });
  return status;
}

/** What evaluators of the answers have counted, once all windows together have this many scores and failures. */
async function evaluatorsOf({ windows }: LabelHost, wanted: number): Promise<EvaluatorSketch[]> {
  const counted = () => {
    const sum: EvaluatorSketch[] = [];
    for (const { deployment, body } of windows) {
      if (deployment === 'answers') mergeEvaluators(sum, decodeWindow(body).evaluators);
    }
    return sum;
  };
  await scored(wanted, () =>
    counted().reduce((sum, { scores, failed }) => sum + scores.moments.count + failed, 0),
  );
  return counted();
}

const rule = { kind: 'rule', output: 'text_out', sample: 1 } as const;
const settled = () => new Promise((done) => setTimeout(done, 0));

/** Until the queue has had its turns: an engine tells nobody, because nobody waits for a score. */
async function scored(wanted: number, seen: () => number): Promise<void> {
  await expect.poll(seen, { timeout: 4000, interval: 5 }).toBe(wanted);
}

describe('evaluators of a real engine', () => {
  it('score answers by rules, beside the request', async () => {
    const running = await start(text, [
      { ...rule, name: 'json', rule: 'json-valid' },
      { ...rule, name: 'long', rule: 'max-length', maxLength: 3 },
      { ...rule, name: 'wrong', rule: 'json-valid', output: 'elsewhere' },
    ]);
    expect(await ask(running.url, ['{}', 'no json', '1'])).toBe(200);
    const found = await evaluatorsOf(running, 9);
    const of = (name: string) => found.find((one) => one.name === name);
    expect(of('json')).toMatchObject({ flagged: 1, failed: 0, dropped: 0 });
    expect(of('json')?.scores.moments).toMatchObject({ count: 3 });
    expect(of('long')).toMatchObject({ flagged: 1 });
    expect(of('wrong')).toMatchObject({ failed: 3, flagged: 0 });
  });

  it('score answers by an ONNX model of the same host, whose requests are its own and not scored in turn', async () => {
    const running = await start(number, [
      { kind: 'model', name: 'toxic', output: 'x_out', deployment: 'scorer', sample: 1 },
    ]);
    expect(await ask(running.url, [0.25, 0.75, 7])).toBe(200);
    const [toxic] = await evaluatorsOf(running, 3);
    await running.engine.stop();
    // 7 is no score between 0 and 1.
    expect(toxic).toMatchObject({ name: 'toxic', flagged: 1, failed: 1, dropped: 0 });
    expect(toxic.scores.moments).toMatchObject({ count: 2, mean: 0.5 });
    const rows = running.windows
      .filter(({ deployment }) => deployment === 'scorer')
      .reduce((sum, { body }) => sum + decodeWindow(body).rows, 0);
    expect(rows).toBe(3);
  });
});

describe('the queue of evaluations', () => {
  const owner = {};
  const evaluation = (change: Partial<Evaluation> = {}): Evaluation => ({
    ...{ owner, elements: 1, run: () => undefined, drop: () => undefined },
    ...change,
  });

  it('takes 256, or so many elements, and drops the rest at once', async () => {
    const queue = new EvaluationQueue();
    let [ran, dropped] = [0, 0];
    const counting = evaluation({
      run: () => {
        ran += 1;
      },
      drop: () => {
        dropped += 1;
      },
    });
    for (let at = 0; at < 300; at += 1) queue.add(counting);
    expect([ran, dropped]).toEqual([0, 44]);
    await scored(256, () => ran);
    queue.add({ ...counting, elements: 4 * 1024 * 1024 });
    queue.add(counting);
    expect(dropped).toBe(45);
    queue.close();
    expect(dropped).toBe(46);
    queue.add(counting);
    expect(dropped).toBe(47);
  });

  it('asks a slow evaluator one answer at a time, and nobody waits for it', async () => {
    const queue = new EvaluationQueue();
    const release: (() => void)[] = [];
    const slow = evaluation({ run: () => new Promise<void>((done) => release.push(done)) });
    const begun = performance.now();
    for (let at = 0; at < 10; at += 1) queue.add(slow);
    expect(performance.now() - begun).toBeLessThan(100);
    await scored(1, () => release.length);
    for (let at = 0; at < 20; at += 1) await settled();
    expect(release).toHaveLength(1);
    queue.close();
    release[0]();
  });

  it('rests nine times as long as it works: a tenth of the thread at most', async () => {
    const queue = new EvaluationQueue();
    const startedMs: number[] = [];
    const busy = evaluation({
      run: () => {
        startedMs.push(performance.now());
        while (performance.now() - (startedMs.at(-1) ?? 0) < 5);
      },
    });
    for (let at = 0; at < 4; at += 1) queue.add(busy);
    await scored(4, () => startedMs.length);
    for (let at = 1; at < 4; at += 1) {
      // A timer may fire a millisecond early.
      expect(startedMs[at] - startedMs[at - 1]).toBeGreaterThanOrEqual(5 + 9 * 5 - 2);
    }
  });

  it('drops what of an arm that has gone still waits, and scores the others', async () => {
    const queue = new EvaluationQueue();
    let [ran, dropped] = [0, 0];
    const drop = () => {
      dropped += 1;
    };
    const run = () => {
      ran += 1;
    };
    queue.add(evaluation({ owner: queue, run, drop }));
    queue.add(evaluation({ run, drop }));
    queue.dropOf(owner);
    expect(dropped).toBe(1);
    await scored(1, () => ran);
  });
});
