import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepWindows } from '../../../control-plane/merge/retention.ts';
import { Store } from '../../../control-plane/store/database.ts';
import { windows } from '../../../control-plane/store/schema.ts';
import { temporaryFolder } from '../../support/mortgage.ts';

const DAY_MS = 86_400_000;
const NOW = 100 * DAY_MS;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let store: Store;

beforeEach(async () => {
  folder = await temporaryFolder();
  store = await Store.open(folder.path);
});

afterEach(async () => {
  await store.close();
  await folder.remove();
});

it('deletes windows past their time, however many, and no younger one', async () => {
  const starts = [
    ...Array.from({ length: 1200 }, (_, at) => NOW - 14 * DAY_MS - 1 - at),
    NOW - 14 * DAY_MS,
    NOW,
  ];
  await store.write(async (tx) => {
    for (const windowStartMs of starts) {
      await tx.insert(windows).values({
        deployment: 'd',
        manifest: `sha256:${'0'.repeat(64)}`,
        arm: 'stable',
        windowStartMs,
        windowMs: 1000,
        agentId: 'agt_0',
        parts: 1,
        requests: 1,
        rows: 1,
        errors: 0,
        body: new Uint8Array(1),
        updatedAt: 0,
      });
    }
  });
  const retention = keepWindows({ store, now: () => NOW, onFailure: () => undefined });
  expect(await retention.sweep()).toBe(1200);
  retention.close();
  const left = await store.read.select({ at: windows.windowStartMs }).from(windows);
  expect(left.map((row) => row.at).sort()).toEqual([NOW - 14 * DAY_MS, NOW].sort());
});
