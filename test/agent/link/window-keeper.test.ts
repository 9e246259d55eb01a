import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Outbox } from '../../../agent/link/outbox.ts';
import { WindowKeeper } from '../../../agent/link/window-keeper.ts';
import { Withholding } from '../../../agent/rollout/withholding.ts';
import { decodeWindow, encodeWindow } from '../../../protocol/sketch/codec.ts';
import type { WindowSketch } from '../../../protocol/sketch/window.ts';
import { decodeUp } from '../../../protocol/wire.ts';
import { watchedWindow } from '../../protocol/sketch/watched.ts';

const ROW = { group: 0, prediction: 0.7, label: 1, vector: [0, 0] as const, score: null };

let folder: string;
let outbox: Outbox;
let keeper: WindowKeeper;
let due: number;
const withholding = new Withholding();

beforeEach(async () => {
  due = 0;
  folder = await mkdtemp(join(tmpdir(), 'keeper-'));
  outbox = await Outbox.open({ folder, boot: '00000000000000aa' });
  keeper = new WindowKeeper({
    outbox,
    clockAheadMs: () => null,
    withholds: (deployment) => withholding.keeps(deployment),
    onDue: () => {
      due += 1;
    },
    onLost: (detail) => {
      throw new Error(detail);
    },
    onCoarsened: () => undefined,
    log: (_, message, detail) => {
      throw new Error(message, { cause: detail });
    },
  });
});
afterEach(async () => {
  await outbox.close();
  await rm(folder, { recursive: true });
});

const watched = (rows: number): WindowSketch => ({
  ...watchedWindow('binary', [{ ...ROW, kind: 'binary' }]),
  ...{ rows, requests: rows, evaluators: [] },
});

function keep(deployment: string, window: WindowSketch): void {
  const place = { deployment, manifest: `sha256:${'0'.repeat(64)}`, arm: 'stable' as const };
  const body = encodeWindow(window);
  keeper.keep({ kind: 'window', ...place, windowStartMs: 1000, windowMs: 1000, body });
}

/** Follows a document with these deployments, each with what it withholds. */
function follow(deployments: Record<string, 'outcomes'[] | undefined>): void {
  const arms = [
    ...[{ arm: 'stable' as const, model: 'm', version: 1, manifest: 'sha256:0', share: 1 }],
  ];
  const named = Object.entries(deployments).map(([name, withheld]) => {
    const deployment = { name, windowMs: 1000, serving: {}, monitoring: {}, arms };
    return withheld === undefined ? deployment : { ...deployment, withheld };
  });
  withholding.follow({ deployments: named });
}

async function sent() {
  await keeper.settled();
  return outbox.pending.map(({ frame }) => {
    const message = decodeUp(frame);
    if (message.kind !== 'telemetry') throw new Error(message.kind);
    const { rows, outcome } = decodeWindow(message.body);
    return [message.deployment, rows, outcome === null ? 'withheld' : 'whole'];
  });
}

it('RESIDENCY-5: outcomes that stay on the host are in no window on its disk, and labels alone make none', async () => {
  follow({ loans: ['outcomes'], cards: undefined });
  keep('loans', watched(3));
  keep('loans', watched(0));
  keep('cards', watched(4));
  keep('cards', watched(0));
  expect(await sent()).toEqual([
    ['loans', 3, 'withheld'],
    ['cards', 4, 'whole'],
    ['cards', 0, 'whole'],
  ]);
});

it('RESIDENCY-5: the last document that named a deployment holds for windows that come after it left', async () => {
  follow({ loans: ['outcomes'] });
  follow({ cards: undefined });
  keep('loans', watched(3));
  expect(await sent()).toEqual([['loans', 3, 'withheld']]);
  follow({ loans: [] });
  keep('loans', watched(5));
  expect((await sent()).at(-1)).toEqual(['loans', 5, 'whole']);
});

it('TELEM-11: a window that is kept is due within a tenth of its length, and at once where the host stops', async () => {
  keep('loans', watched(3));
  await vi.waitFor(() => expect(due).toBe(1), { timeout: 1_000, interval: 5 });
  keep('loans', watched(3));
  await keeper.settled();
  expect(due).toBe(2);
  await keeper.settled();
  expect(due).toBe(2);
});
