import { expect, test } from 'vitest';
import { handleAlert } from '../../../control-plane/store/alert-handling.ts';
import { insertChannel } from '../../../control-plane/store/channels.ts';
import { announce, dueDelivery, nextDue } from '../../../control-plane/store/deliveries.ts';
import { ControlApp } from '../../support/control-app.ts';

test('the queue holds what is silenced, and what comes after something that waits', async () => {
  const app = await ControlApp.open();
  await app.notify.close();
  const { store } = app;
  await store.write(async (tx) => {
    const sealed = new Uint8Array();
    await insertChannel(tx, { name: 'a', kind: 'slack', shown: {}, sealed, createdAt: 0 });
    await announce(tx, 1, 'opened', 100);
    await announce(tx, 1, 'escalated', 50);
    await handleAlert(tx, 1, { silencedUntil: 500, silenceReason: 'x' });
  });
  expect(await dueDelivery(store.read, 499, [])).toBeNull();
  expect(await nextDue(store.read, 499)).toBe(500);
  expect(await dueDelivery(store.read, 500, [])).toMatchObject({ transition: 'opened' });
  expect(await dueDelivery(store.read, 500, ['a'])).toBeNull();
  await store.write((tx) => handleAlert(tx, 1, { silencedUntil: null }));
  // `escalated` could leave at 50, but not before `opened`.
  expect(await dueDelivery(store.read, 60, [])).toBeNull();
  await app.close();
});
