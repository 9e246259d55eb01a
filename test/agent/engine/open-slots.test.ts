import { afterAll, beforeAll, expect, it } from 'vitest';
import { Engine } from '../../../agent/engine/engine.ts';
import type { ModelFiles } from '../../../agent/engine/messages.ts';
import type { Runtime } from '../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../agent/engine/model/runtime-node.ts';
import { tinyModel } from '../../../bench/support/models.ts';
import { temporaryFolder } from '../../support/mortgage.ts';
import { describeModel } from './model/admitted.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let node: Runtime;
const files: ModelFiles[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  node = await createNodeRuntime();
  for (const digit of '0123') {
    const described = await describeModel(folder.path, `m${digit}`, tinyModel(), null);
    files.push({ ...described, manifest: `sha256:${digit.repeat(64)}` });
  }
});
afterAll(() => folder.remove());

/** An engine whose sessions are counted: how many are open now, and how many were ever. */
function stand() {
  const sessions = { open: 0, ever: 0 };
  const runtime: Runtime = {
    name: node.name,
    async open(model, options) {
      const session = await node.open(model, options);
      sessions.open += 1;
      sessions.ever += 1;
      const release = async () => {
        sessions.open -= 1;
        await session.release();
      };
      return { ...session, release };
    },
  };
  const engine = new Engine({
    runtime,
    ordinal: 0,
    version: '0.0.0',
    maxBodyBytes: 1024,
    share: { engines: 1, cores: 1 },
    onWindow: () => undefined,
  });
  const prepare = (at: number) => engine.prepare([{ files: files[at], execution: {} }]);
  const commit = (...named: number[]) => {
    engine.commit({
      agent: 'agt_0123456789abcdef01234567',
      generation: 1,
      deployments: named.map((at) => ({
        name: `m${at}`,
        windowMs: 60_000,
        serving: {},
        arms: [{ arm: 'stable', version: 1, manifest: files[at].manifest, share: 1 }],
      })),
    });
    // What is retired is released when nothing is in flight: a turn later.
    return new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { engine, sessions, prepare, commit };
}

it('a version that is prepared twice at once is opened once', async () => {
  const { engine, sessions, prepare } = stand();
  const both = await Promise.all([prepare(0), prepare(0)]);
  expect(both.map(([{ outcome }]) => outcome)).toEqual(['ready', 'ready']);
  expect(sessions).toEqual({ open: 1, ever: 1 });
  await engine.stop();
  expect(sessions.open).toBe(0);
});

it('a refusal is told to all who asked, and the next one tries again', async () => {
  const { engine, prepare, sessions } = stand();
  const right = files[0];
  files[0] = { ...right, modelPath: `${right.modelPath}.none` };
  const both = await Promise.all([prepare(0), prepare(0)]);
  files[0] = right;
  expect(both.map(([{ outcome }]) => outcome)).toEqual(['refused', 'refused']);
  expect(await prepare(0)).toMatchObject([{ outcome: 'ready' }]);
  expect(sessions).toEqual({ open: 1, ever: 1 });
  await engine.stop();
});

it('a commit in between leaves a prepared version for the next, and no longer', async () => {
  const { engine, sessions, prepare, commit } = stand();
  await prepare(0);
  await commit(0);
  await prepare(1);
  await prepare(2);
  await commit(0);
  expect(sessions.open).toBe(3);
  await commit(0, 1);
  expect(sessions.open).toBe(2);
  expect(() => commit(2)).toThrow('is not prepared as it is to run');
  // Served and then not named: nobody waits for it.
  await commit(0);
  expect(sessions).toEqual({ open: 1, ever: 3 });
  await engine.stop();
});

it('a version prepared again while it is served survives one plan without it', async () => {
  const { engine, sessions, prepare, commit } = stand();
  await prepare(0);
  await commit(0);
  await prepare(0);
  await commit();
  await commit(0);
  expect(sessions).toEqual({ open: 1, ever: 1 });
  await engine.stop();
});

it('what is still being opened when the engine stops is released too', async () => {
  const { engine, sessions, prepare } = stand();
  const preparing = prepare(3);
  await engine.stop();
  expect(await preparing).toMatchObject([
    { outcome: 'refused', detail: expect.stringMatching(/the engine stopped/) },
  ]);
  expect(sessions).toEqual({ open: 0, ever: 1 });
});
