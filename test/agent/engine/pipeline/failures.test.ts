import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PipelineEngine } from '../../../support/pipeline-engine.ts';
import {
  FEATURES,
  failing,
  inputOf,
  linear,
  SCORE,
  scale,
} from '../../../support/pipeline-models.ts';

let engine: PipelineEngine;
const ROW = [inputOf([[1, 2, 3]])];
const step = (deployment: string, version?: number) => ({
  ...{ kind: 'step', deployment, inputs: ['x'], outputs: ['score'] },
  ...(version === undefined ? {} : { version }),
});
const graph = (nodes: object) => ({
  schema: 1,
  inputs: [FEATURES],
  outputs: [SCORE],
  root: 'main',
  nodes,
});
const ensemble = (names: readonly string[], failure: object) =>
  graph({
    main: {
      kind: 'ensemble',
      members: names.map((node) => ({ node })),
      combine: { score: 'mean' },
      failure,
    },
    ...Object.fromEntries(names.map((name) => [name, step(name)])),
  });
const only = (deployment: string, version?: number) => graph({ main: step(deployment, version) });

beforeAll(async () => {
  engine = await PipelineEngine.start();
  const { pipeline } = {
    pipeline: (document: object) => engine.pipeline(document),
  };
  const skip = (quorum: number) => ({ policy: 'skip', quorum });
  await engine.deploy({
    a: await engine.model(linear([1, 1, 1], 0)),
    b: await engine.model(linear([3, 3, 3], 0)),
    broken: await engine.model(failing()),
    scale: await engine.model(scale(2)),
    fails: await pipeline(ensemble(['a', 'broken', 'b'], { policy: 'fail' })),
    skips: await pipeline(ensemble(['a', 'broken', 'b'], skip(2))),
    lacks: await pipeline(ensemble(['a', 'broken', 'b'], skip(3))),
    absent: await pipeline(only('nowhere')),
    older: await pipeline(only('a', 9)),
    pinned: await pipeline(only('a', 1)),
    unfit: await pipeline(only('scale')),
    maybe: await pipeline(
      graph({
        main: {
          kind: 'switch',
          on: { tensor: 'x', index: 0 },
          cases: [{ op: '>', value: 5, node: 'gone' }],
          default: 'here',
        },
        gone: step('nowhere'),
        here: step('a'),
      }),
    ),
    inner: await pipeline(only('a')),
    outer: await pipeline(only('inner')),
    third: await pipeline(only('outer')),
    self: await pipeline(only('self')),
    left: await pipeline(only('right')),
    right: await pipeline(only('left')),
  });
}, 60_000);
afterAll(() => engine.stop());

describe('a pipeline whose step fails', () => {
  it('PIPELINE-20: fails with it, and says which; the step counts its own failure', async () => {
    const before = await engine.counted('broken');
    expect(await engine.infer('fails', ROW)).toMatchObject({
      status: 500,
      code: 'model_failed',
      error: expect.stringMatching(/^step "broken" \(version 1\): .*Reshape/s),
    });
    expect((await engine.counted('broken')).failed).toBe(before.failed + 1);
    expect((await engine.counted('fails')).failed).toBe(1);
  });

  it('PIPELINE-21: goes on without it under `skip`, as long as its quorum answers', async () => {
    const answer = await engine.infer('skips', ROW);
    expect(answer).toMatchObject({ status: 200, outputs: [{ data: [12] }] });
    expect(await engine.infer('lacks', ROW)).toMatchObject({
      status: 500,
      error: expect.stringMatching(/2 of 3 members of "main" answered, 3 are needed.*"broken"/s),
    });
  });

  it('PIPELINE-22: is not ready where a deployment or its version is not served, and says so', async () => {
    expect(await engine.infer('absent', ROW)).toMatchObject({
      status: 503,
      code: 'not_ready',
      error: expect.stringContaining('"nowhere"'),
    });
    expect(await engine.infer('older', ROW)).toMatchObject({
      status: 503,
      error: expect.stringContaining('"a" has no version "9"'),
    });
    expect(await engine.infer('pinned', ROW)).toMatchObject({ status: 200 });
    const ready = async (name: string) => {
      const response = await fetch(`${engine.url}/v2/models/${name}/ready`);
      return [response.status, ((await response.json()) as { error?: string }).error];
    };
    expect(await ready('absent')).toEqual([
      503,
      expect.stringContaining('not served here: nowhere'),
    ]);
    expect(await ready('older')).toEqual([503, expect.stringContaining('not served here: a@9')]);
    expect(await ready('pinned')).toEqual([200, undefined]);
  });

  it('PIPELINE-23: does not mind what is missing where no row goes', async () => {
    expect(await engine.infer('maybe', ROW)).toMatchObject({ outputs: [{ data: [6] }] });
    const both = await engine.infer('maybe', [
      inputOf([
        [1, 2, 3],
        [6, 0, 0],
      ]),
    ]);
    expect(both).toMatchObject({ status: 503, error: expect.stringContaining('"nowhere"') });
  });

  it('PIPELINE-24: names the tensor that a step takes or gives otherwise', async () => {
    expect(await engine.infer('unfit', ROW)).toMatchObject({
      status: 500,
      error: expect.stringContaining('takes "score" of "scale", which gives "y"'),
    });
  });
});

describe('pipelines that call pipelines', () => {
  it('PIPELINE-25: go two levels deep and no deeper', async () => {
    expect(await engine.infer('outer', ROW)).toMatchObject({ outputs: [{ data: [6] }] });
    expect((await engine.counted('inner')).rows).toBe(1);
    expect(await engine.infer('third', ROW)).toMatchObject({
      status: 500,
      error: expect.stringContaining('deeper than 2 levels: third → outer → inner'),
    });
  });

  it('PIPELINE-26: are stopped where they lead back to themselves', async () => {
    expect(await engine.infer('self', ROW)).toMatchObject({
      status: 500,
      error: expect.stringContaining('calls itself: self → self'),
    });
    expect(await engine.infer('left', ROW)).toMatchObject({
      status: 500,
      error: expect.stringContaining('calls itself: left → right → left'),
    });
  });
});
