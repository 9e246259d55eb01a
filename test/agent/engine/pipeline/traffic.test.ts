import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelFiles } from '../../../../agent/engine/messages.ts';
import { decodeWindow } from '../../../../protocol/sketch/codec.ts';
import { type Deployed, PipelineEngine } from '../../../support/pipeline-engine.ts';
import { FEATURES, inputOf, linear, SCORE, scale, slow } from '../../../support/pipeline-models.ts';

const graph = (nodes: object) => ({
  schema: 1,
  inputs: [FEATURES],
  outputs: [SCORE],
  root: 'main',
  nodes,
});
const step = (deployment: string, inputs: unknown, outputs: unknown) => ({
  kind: 'step',
  deployment,
  inputs,
  outputs,
});
/** `before` on x, then `score` on what it gives. */
const after = (before: string) =>
  graph({
    main: { kind: 'sequence', nodes: ['first', 'second'] },
    first: step(before, ['x'], { y: 'between' }),
    second: step('score', { x: 'between' }, ['score']),
  });
/** `score` twice in one request: half of each, so a mix of versions would show. */
const twice = graph({
  main: { kind: 'ensemble', members: [{ node: 'a' }, { node: 'b' }], combine: { score: 'mean' } },
  a: step('score', ['x'], ['score']),
  b: step('score', ['x'], ['score']),
});

/** Told when a request begins to wait for a model on worker threads. */
class Waiting {
  begun: () => void = () => undefined;
  connections = 0;
  open = 0;
  waiting(connection: unknown): void {
    this.connections += connection === null ? 0 : 1;
    this.open += 1;
    this.begun();
  }
  settled(): void {
    this.open -= 1;
  }
}

const waiting = new Waiting();
let engine: PipelineEngine;
let rest: Record<string, Deployed | ModelFiles>;
let v1: ModelFiles;
let v2: ModelFiles;
const score = (deployed: Deployed) => engine.deploy({ ...rest, score: deployed });

beforeAll(async () => {
  engine = await PipelineEngine.start(waiting);
  const watched = { features: [{ name: 'f', tensor: 'x', index: 0, kind: 'numeric' as const }] };
  v1 = await engine.model(linear([1, 1, 1], 0), watched);
  v2 = await engine.model(linear([1, 1, 1], 1000), watched);
  rest = {
    double: {
      versions: { 1: await engine.model(scale(2)) },
      serving: { batching: { maxBatchSize: 64 } },
    },
    slow: await engine.model(slow()),
    apart: {
      versions: { 1: await engine.model(slow()) },
      serving: { placement: 'worker', workers: 1 },
    },
    doubled: await engine.pipeline(after('double')),
    slowed: await engine.pipeline(after('slow')),
    distant: await engine.pipeline(after('apart')),
    bounded: {
      versions: { 1: await engine.pipeline(after('apart')) },
      serving: { batching: { maxQueueRequests: 1 } },
    },
    hasty: {
      versions: { 1: await engine.model(linear([1, 1, 1], 0)) },
      serving: { batching: { timeoutUs: 1 } },
    },
    hurried: await engine.pipeline(graph({ main: step('hasty', ['x'], ['score']) })),
    twice: await engine.pipeline(twice),
  };
  await score({ versions: { 1: v1 } });
}, 60_000);
afterAll(() => engine.stop());

const many = (count: number) => inputOf(Array.from({ length: count }, () => [1, 2, 3]));

describe('a pipeline under traffic', () => {
  it('PIPELINE-30: gives each of many concurrent requests its own answer, and its steps batch them', async () => {
    const ask = async () => {
      const asked = Array.from({ length: 60 }, (_, at) =>
        engine.infer('doubled', [inputOf([[at, 1, 0]])]),
      );
      for (const [at, answer] of (await Promise.all(asked)).entries()) {
        expect(answer).toMatchObject({ status: 200, outputs: [{ data: [2 * at + 2] }] });
      }
    };
    // On connections that are open already, requests come close enough together to share calls.
    await ask();
    const before = await engine.counted('double');
    await ask();
    const counted = await engine.counted('double');
    expect(counted.rows - before.rows).toBe(60);
    expect(counted.calls - before.calls).toBeLessThan(60);
  });

  it('PIPELINE-31: a step has the deadline of its request', async () => {
    const answer = await engine.infer('slowed', [many(3000)], { parameters: { timeout: 250_000 } });
    expect(answer).toMatchObject({
      status: 504,
      code: 'deadline_exceeded',
      error: expect.stringMatching(/^step "score"/),
    });
    const rushed = await engine.infer('doubled', [many(1)], { parameters: { timeout: 1 } });
    expect(rushed).toMatchObject({ status: 504, error: expect.stringMatching(/^step "double"/) });
    // Its own deployment's timeout is for requests that bring none.
    expect(await engine.infer('hurried', [many(1)])).toMatchObject({ status: 504 });
    const patient = { parameters: { timeout: 10_000_000 } };
    expect(await engine.infer('hurried', [many(1)], patient)).toMatchObject({ status: 200 });
  });

  it('PIPELINE-32: what a client leaves is not computed further', async () => {
    const before = await engine.counted('score');
    const { connections } = waiting;
    const leave = new AbortController();
    const begun = new Promise<void>((resolve) => {
      waiting.begun = resolve;
    });
    const left = engine.infer('distant', [many(400)], {}, leave.signal).catch(() => 'left');
    await begun;
    leave.abort();
    expect(await left).toBe('left');
    // The one thread of `apart` is free again when it has answered the next.
    expect(await engine.infer('apart', [many(1)])).toMatchObject({ status: 200 });
    expect(await engine.counted('score')).toEqual(before);
    expect(waiting).toMatchObject({ open: 0, connections: connections + 2 });
  });

  it('PIPELINE-33: as many requests are under way as its deployment allows', async () => {
    const begun = new Promise<void>((resolve) => {
      waiting.begun = resolve;
    });
    const first = engine.infer('bounded', [many(1000)]);
    await begun;
    expect(await engine.infer('bounded', [many(1)])).toMatchObject({
      status: 503,
      code: 'overloaded',
    });
    expect(await first).toMatchObject({ status: 200 });
  });

  it('PIPELINE-34: a rollout of a step neither fails a request nor shows it two versions', async () => {
    const seen = { 6: 0, 1006: 0 };
    let going = true;
    const traffic = async () => {
      while (going) {
        const { status, outputs } = await engine.infer('twice', [many(1)]);
        expect(status).toBe(200);
        const [value] = outputs?.[0].data ?? [];
        expect([6, 1006]).toContain(value);
        seen[value as 6 | 1006] += 1;
      }
    };
    const clients = [1, 2, 3, 4].map(traffic);
    const enough = async () => {
      const goal = seen[6] + seen[1006] + 40;
      while (seen[6] + seen[1006] < goal) await engine.infer('twice', [many(1)]);
    };
    await enough();
    expect(seen[1006]).toBe(0);
    await score({ versions: { 1: v1, 2: v2 }, shares: { 1: 0.5, 2: 0.5 } });
    await enough();
    await score({ versions: { 2: v2 } });
    await enough();
    going = false;
    await Promise.all(clients);
    expect(seen[6]).toBeGreaterThan(40);
    expect(seen[1006]).toBeGreaterThan(40);
    const { outputs } = await engine.infer('twice', [many(1)]);
    expect(outputs?.[0].data).toEqual([1006]);
  });
});

it("PIPELINE-35: a step's rows are counted in its own windows", async () => {
  const counting = await PipelineEngine.start();
  await counting.deploy({
    score: await counting.model(linear([1, 1, 1], 0), {
      features: [{ name: 'f', tensor: 'x', index: 0, kind: 'numeric' }],
    }),
    twice: await counting.pipeline(twice),
  });
  await counting.infer('twice', [many(5)]);
  await counting.stop();
  const rows = counting.windows.map(({ deployment, body }) => {
    const { requests, rows: answered, errors } = decodeWindow(body);
    return { deployment, requests, rows: answered, errors };
  });
  expect(rows).toHaveLength(2);
  expect(rows).toContainEqual({ deployment: 'score', requests: 2, rows: 10, errors: 0 });
  expect(rows).toContainEqual({ deployment: 'twice', requests: 1, rows: 5, errors: 0 });
});
