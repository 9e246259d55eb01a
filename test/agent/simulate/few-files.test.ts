import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Outbox } from '../../../agent/link/outbox.ts';
import { fewFiles } from '../../../agent/simulate/few-files.ts';
import { type Disk, realDisk } from '../../../agent/store/disk.ts';

const AGENTS = 600;
const MOST = 256;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'driftline-few-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The real disk, and how many of its files are open. */
function counted(): { readonly disk: Disk; readonly open: { now: number; most: number } } {
  const open = { now: 0, most: 0 };
  const disk: Disk = {
    ...realDisk,
    openAppend: async (path) => {
      open.now += 1;
      open.most = Math.max(open.most, open.now);
      const file = await realDisk.openAppend(path);
      const close = async () => {
        await file.close();
        open.now -= 1;
      };
      return { ...file, close };
    },
  };
  return { disk, open };
}

const window = (at: number) => ({
  ...{ deployment: 'loans', manifest: `sha256:${'a'.repeat(64)}`, arm: 'stable' as const },
  ...{ windowStartMs: at * 2_000, windowMs: 2_000, clockAheadMs: 0, body: new Uint8Array([at]) },
});

it('keeps the outboxes of many agents with few open files, and what is in them is read by the disk of a host', async () => {
  const { disk, open } = counted();
  const few = fewFiles(disk);
  const boot = '0'.repeat(16);
  const openOutbox = (at: number, on: Disk) =>
    Outbox.open({ folder: join(folder, String(at)), boot, maxBytes: 1 << 20, disk: on });
  const all = Array.from({ length: AGENTS }, (_, at) => at);
  const outboxes = await Promise.all(all.map((at) => openOutbox(at, few)));
  await Promise.all(
    outboxes.map(async (outbox) => {
      for (const at of [1, 2, 3]) await outbox.append(window(at));
    }),
  );
  expect(open.now).toBe(0);
  expect(open.most).toBeGreaterThan(MOST / 2);
  expect(open.most).toBeLessThanOrEqual(MOST);
  await Promise.all(outboxes.map((outbox) => outbox.close()));
  const again = await openOutbox(7, realDisk);
  expect(again.pendingCount).toBe(3);
  await again.close();
});

it('cuts a file and goes on at its end', async () => {
  const path = join(folder, 'file');
  const file = await fewFiles(realDisk).openAppend(path);
  await file.append(new Uint8Array([1, 2, 3]));
  await file.truncate(1);
  await file.append(new Uint8Array([4]));
  await file.sync();
  await file.close();
  expect([...(await readFile(path))]).toEqual([1, 4]);
});
