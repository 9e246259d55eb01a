import { afterEach, beforeEach, expect, it } from 'vitest';
import { handleAlert, handlingOf } from '../../../control-plane/store/alert-handling.ts';
import {
  escalateAlert,
  findAlert,
  openAlert,
  resolveAlert,
} from '../../../control-plane/store/alerts.ts';
import { Store } from '../../../control-plane/store/database.ts';
import { channels, deliveries } from '../../../control-plane/store/schema.ts';
import { temporaryFolder } from '../../support/mortgage.ts';

const MANIFEST = `sha256:${'a'.repeat(64)}`;

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

const open = (openedAt: number, kind: 'input-drift' | 'errors' = 'input-drift') =>
  store.write((tx) =>
    openAlert(tx, { deployment: 'd', manifest: MANIFEST, kind, detail: {}, openedAt }),
  );
const resolve = (now: number) =>
  store.write((tx) => resolveAlert(tx, 'd', MANIFEST, 'input-drift', now));

it('a silence holds for the same trouble when it comes back, until its end', async () => {
  const first = await open(1);
  const silence = { silencedUntil: 100, silenceReason: 'we know' };
  await store.write((tx) => handleAlert(tx, first ?? 0, silence));
  await resolve(20);
  const second = await open(50);
  expect(await handlingOf(store.read, second ?? 0)).toMatchObject(silence);
  const other = await open(50, 'errors');
  expect((await handlingOf(store.read, other ?? 0)).silencedUntil).toBeNull();
  await resolve(60);
  const third = await open(101);
  expect((await handlingOf(store.read, third ?? 0)).silencedUntil).toBeNull();
});

it('a silence that was taken back does not come back with an older alert', async () => {
  const first = await open(1);
  const silence = { silencedUntil: 100, silenceReason: 'we know' };
  await store.write((tx) => handleAlert(tx, first ?? 0, silence));
  await resolve(20);
  const second = await open(30);
  const loud = { silencedUntil: null, silenceReason: null };
  await store.write((tx) => handleAlert(tx, second ?? 0, loud));
  await resolve(40);
  const third = await open(50);
  expect((await handlingOf(store.read, third ?? 0)).silencedUntil).toBeNull();
});

it('an alert that grows keeps its id, shows what it has come to, and is told', async () => {
  const sealed = new Uint8Array(1);
  await store.write((tx) =>
    tx.insert(channels).values({ name: 'c', kind: 'webhook', shown: {}, sealed, createdAt: 0 }),
  );
  const grow = (now: number) =>
    store.write((tx) => escalateAlert(tx, 'd', MANIFEST, 'input-drift', { severity: 'high' }, now));
  expect(await grow(1)).toBeNull();
  const id = await open(2);
  expect(await grow(3)).toBe(id);
  expect((await findAlert(store.read, id ?? 0))?.detail).toEqual({ severity: 'high' });
  const told = await store.read.select().from(deliveries);
  expect(told.map(({ transition }) => transition)).toEqual(['opened', 'escalated']);
});
