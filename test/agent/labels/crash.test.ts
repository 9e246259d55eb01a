import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DecisionBatch } from '../../../agent/engine/decision-batch.ts';
import type { WindowMessage } from '../../../agent/engine/messages.ts';
import { DecisionBuffer, hashCaller } from '../../../agent/engine/observe/decision-record.ts';
import { DecisionLog } from '../../../agent/labels/decision-log.ts';
import { DeploymentLabels } from '../../../agent/labels/deployment-labels.ts';
import { MAX_OPEN_WINDOWS } from '../../../agent/labels/label-windows.ts';
import { toBase64 } from '../../../protocol/bytes.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { emptyWindow } from '../../../protocol/sketch/window.ts';

const ENGINE = 7;
const SOURCE = JSON.stringify({
  manifest: `sha256:${'a'.repeat(64)}`,
  arm: 'stable',
  grid: { kind: 'regression', axes: [], scoreBins: 0, classes: [] },
  classes: null,
  positive: '1',
  window: toBase64(encodeWindow(emptyWindow({ features: [], prediction: { kind: 'hashed' } }))),
  validation: null,
});
let folder = '';
let sent: WindowMessage[] = [];
let opened: DecisionLog[] = [];

beforeEach(async () => {
  sent = [];
  folder = await mkdtemp(join(tmpdir(), 'labels-'));
});
afterEach(async () => {
  for (const log of opened) await log.close();
  opened = [];
  await rm(folder, { recursive: true, force: true });
});

/** Opened anew without closing what was open before, as after a crash. */
async function open(segmentBytes?: number): Promise<DeploymentLabels> {
  const log = await DecisionLog.open(folder, segmentBytes);
  opened.push(log);
  const onWindow = (window: WindowMessage) => sent.push(window);
  const labels = new DeploymentLabels('d', log, { onError: () => undefined, onWindow });
  await labels.recover();
  return labels;
}

function batch(first: number, rows: number, atMs = 2000, windowStartMs = 1000): DecisionBatch {
  const buffer = new DecisionBuffer(0);
  for (let row = first; row < first + rows; row += 1) {
    buffer.add(row, 0, hashCaller(`mine-${row}`), row, false, new Uint8Array());
  }
  const records = buffer.take() ?? new Uint8Array();
  const window = { windowStartMs, windowMs: 60_000, atMs };
  return { kind: 'decisions', deployment: 'd', source: SOURCE, engine: ENGINE, ...window, records };
}

async function post(labels: DeploymentLabels, row: number, label: string | number = 3) {
  const id = `mine-${row}`;
  const [{ status }] = await labels.post([{ by: 'caller', id, row: 0, label }], 3000);
  return status;
}

it('joins by decision id and by caller id, keeps the first label, refuses what is no number', async () => {
  const labels = await open();
  await labels.decided(batch(10, 3));
  const id = `a.${(1000).toString(36)}.${ENGINE}.${(10).toString(36)}`;
  const [{ status }] = await labels.post([{ by: 'decision', id, row: 0, label: 1 }], 3000);
  expect(status).toBe('joined');
  expect(await post(labels, 10, 1)).toBe('duplicate');
  expect(await post(labels, 10, 2)).toBe('conflicting');
  expect(await post(labels, 11, 'high')).toBe('invalid');
  expect(await post(labels, 11, 4)).toBe('joined');
});

it('joins a label that came before its row once the row is there', async () => {
  const labels = await open();
  expect(await post(labels, 10)).toBe('unknown');
  await labels.decided(batch(10, 1));
  expect(labels.counts.joined).toBe(1);
  expect(await post(labels, 10)).toBe('duplicate');
});

it('FEEDBACK-2: counts a label after a restart that a crash kept from being sent, and only that one', async () => {
  const before = await open();
  await before.decided(batch(10, 2));
  expect(await post(before, 10)).toBe('joined');
  const after = await open();
  expect(after.hasWindows).toBe(true);
  const unsent = await after.log.unsent();
  expect(unsent.map(({ at }) => at)).toEqual([0]);
  await after.log.setSent(unsent);
  const again = await open();
  expect(again.hasWindows).toBe(false);
  expect(await post(again, 10)).toBe('duplicate');
});

it('cuts off the torn tail of a segment and keeps what was whole', async () => {
  await (await open()).decided(batch(10, 2));
  const [name] = await readdir(folder);
  await appendFile(join(folder, name), Buffer.from([99, 0, 0, 0, 1, 2, 3]));
  const labels = await open();
  expect(labels.log.corruptBytes).toBe(7);
  await labels.decided(batch(12, 2));
  const again = await open();
  expect([again.log.corruptBytes, again.log.rows]).toEqual([0, 4]);
  expect(await post(again, 13)).toBe('joined');
});

it('drops the oldest segments by rows and by age', async () => {
  const labels = await open(1);
  for (const at of [0, 1, 2]) await labels.decided(batch(at * 10, 10, 2000 + at));
  await labels.log.evict(20, 0);
  expect([labels.log.rows, labels.log.evicted]).toEqual([20, 10]);
  await labels.log.evict(20, 2002);
  expect(labels.log.rows).toBe(10);
  expect(await post(labels, 0)).toBe('unknown');
  expect(await post(labels, 20)).toBe('joined');
});

it('answers for a row that is forgotten: expired by decision id, unknown by the caller’s own', async () => {
  const labels = await open(1);
  for (const at of [0, 1]) await labels.decided(batch(at * 10, 10, 2000 + at, 1000 + at * 60_000));
  await labels.log.evict(10, 0);
  const id = `a.${(1000).toString(36)}.${ENGINE}.0`;
  const [{ status, detail }] = await labels.post([{ by: 'decision', id, row: 0, label: 1 }], 3000);
  expect([status, detail]).toEqual(['expired', expect.stringContaining('labels.keepRows')]);
  expect(await post(labels, 0)).toBe('unknown');
});

it('never has more windows open than its bound, however many the labels of one post belong to', async () => {
  const labels = await open();
  const count = MAX_OPEN_WINDOWS + 10;
  for (let at = 0; at < count; at += 1) await labels.decided(batch(at, 1, 2000, at * 60_000));
  const posted = Array.from({ length: count }, (_, at) => {
    return { by: 'caller' as const, id: `mine-${at}`, row: 0, label: 3 };
  });
  const results = await labels.post(posted, 3000);
  expect(results.filter(({ status }) => status === 'joined')).toHaveLength(count);
  expect(sent).toHaveLength(MAX_OPEN_WINDOWS);
  await labels.send(3000);
  expect(new Set(sent.map(({ windowStartMs }) => windowStartMs)).size).toBe(count);
});
