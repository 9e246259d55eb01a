import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Outbox } from '../../../agent/link/outbox.ts';
import { crc32 } from '../../../protocol/sketch/crc32.ts';
import { decodeUp } from '../../../protocol/wire.ts';
import { telemetry } from '../../protocol/messages.ts';

const BOOT = '00000000000000aa';
const NEXT_BOOT = '00000000000000bb';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outbox-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A window of about `bytes` bytes, told apart by its start. */
function windowOf(windowStartMs: number, bytes = 20) {
  const { kind: _, boot: __, sequence: ___, ...window } = telemetry({ windowStartMs });
  return { ...window, body: new Uint8Array(bytes).fill(windowStartMs % 256) };
}

async function fill(outbox: Outbox, from: number, to: number, bytes?: number): Promise<void> {
  for (let at = from; at <= to; at += 1) await outbox.append(windowOf(at, bytes));
}

const sequences = (outbox: Outbox) => outbox.pending.map((item) => item.sequence);
const segments = async () => (await readdir(folder)).filter((name) => name.endsWith('.seg')).sort();

async function bytesOnDisk(): Promise<number> {
  const sizes = await Promise.all((await segments()).map((name) => stat(join(folder, name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

describe('the outbox', () => {
  it('TELEM-1: has a window on disk before it gives it to be sent', async () => {
    const outbox = await Outbox.open({ folder, boot: BOOT });
    const item = await outbox.append(windowOf(5));
    const [name] = await segments();
    const onDisk = await readFile(join(folder, name));
    expect(onDisk.subarray(8)).toEqual(Buffer.from(item.frame));
    expect(decodeUp(item.frame)).toMatchObject({ boot: BOOT, sequence: 1, windowStartMs: 5 });
    await outbox.close();
  });

  it('TELEM-1: gives the same windows in the same order after a restart', async () => {
    const outbox = await Outbox.open({ folder, boot: BOOT });
    await Promise.all(Array.from({ length: 20 }, (_, at) => outbox.append(windowOf(at))));
    const before = outbox.pending.map(({ boot, sequence, frame }) => [
      boot,
      sequence,
      Buffer.from(frame),
    ]);
    await outbox.close();
    const reopened = await Outbox.open({ folder, boot: NEXT_BOOT });
    expect(
      reopened.pending.map(({ boot, sequence, frame }) => [boot, sequence, Buffer.from(frame)]),
    ).toEqual(before);
    expect(reopened.corruptBytes).toBe(0);
    await fill(reopened, 1, 1);
    expect(reopened.pending.at(-1)).toMatchObject({ boot: NEXT_BOOT, sequence: 1 });
    await reopened.close();
  });

  it('TELEM-3: drops a last record that was cut at any byte, and nothing before it', async () => {
    const outbox = await Outbox.open({ folder, boot: BOOT });
    await fill(outbox, 1, 2);
    const [name] = await segments();
    const whole = (await stat(join(folder, name))).size;
    await fill(outbox, 3, 3);
    await outbox.close();
    const bytes = await readFile(join(folder, name));
    for (let length = whole; length < bytes.length; length += 1) {
      await writeFile(join(folder, name), bytes.subarray(0, length));
      const torn = await Outbox.open({ folder, boot: NEXT_BOOT });
      expect(sequences(torn)).toEqual([1, 2]);
      expect(torn.corruptBytes).toBe(length - whole);
      expect((await stat(join(folder, name))).size).toBe(whole);
    }
  });

  it('TELEM-3: drops a last record in which any byte has changed', async () => {
    const outbox = await Outbox.open({ folder, boot: BOOT });
    await fill(outbox, 1, 1);
    const [name] = await segments();
    const whole = (await stat(join(folder, name))).size;
    await fill(outbox, 2, 2);
    await outbox.close();
    const bytes = await readFile(join(folder, name));
    for (let at = whole; at < bytes.length; at += 1) {
      const changed = Uint8Array.from(bytes);
      changed[at] ^= 0x40;
      await writeFile(join(folder, name), changed);
      expect(sequences(await Outbox.open({ folder, boot: NEXT_BOOT }))).toEqual([1]);
    }
  });

  it('TELEM-3: starts although a record is whole and says what this version does not know', async () => {
    const outbox = await Outbox.open({ folder, boot: BOOT });
    await fill(outbox, 1, 1);
    await outbox.close();
    const [name] = await segments();
    const frame = Uint8Array.of(0x81, 0xa1, 0x61, 0x01);
    const header = Buffer.alloc(8);
    header.writeUInt32LE(frame.length, 0);
    header.writeUInt32LE(crc32(frame), 4);
    const whole = await readFile(join(folder, name));
    await writeFile(join(folder, name), Buffer.concat([whole, header, frame]));
    const reopened = await Outbox.open({ folder, boot: NEXT_BOOT });
    expect(sequences(reopened)).toEqual([1]);
    expect(reopened.corruptBytes).toBe(12);
  });

  it('TELEM-4: forgets what is acknowledged, of that boot and up to that sequence only', async () => {
    const first = await Outbox.open({ folder, boot: BOOT });
    await fill(first, 1, 3);
    await first.close();
    const outbox = await Outbox.open({ folder, boot: NEXT_BOOT });
    await fill(outbox, 1, 3);
    await outbox.acknowledge(NEXT_BOOT, 2);
    expect(outbox.pending.map(({ boot, sequence }) => `${boot.slice(-2)}/${sequence}`)).toEqual([
      'aa/1',
      'aa/2',
      'aa/3',
      'bb/3',
    ]);
    await outbox.acknowledge(BOOT, 3);
    expect(sequences(outbox)).toEqual([3]);
    await outbox.close();
  });

  it('TELEM-4: removes from disk what is acknowledged, segment by segment', async () => {
    const outbox = await Outbox.open({ folder, boot: BOOT });
    await fill(outbox, 1, 25, 100_000);
    const before = await segments();
    expect(before.length).toBeGreaterThan(2);
    await outbox.acknowledge(BOOT, 12);
    expect((await segments()).length).toBeLessThan(before.length);
    await outbox.acknowledge(BOOT, 25);
    expect(await bytesOnDisk()).toBe(0);
    await fill(outbox, 26, 26);
    await outbox.close();
    expect(sequences(await Outbox.open({ folder, boot: NEXT_BOOT }))).toEqual([26]);
  });

  it('TELEM-5: drops the oldest at its bound, counts them, and gives their disk back', async () => {
    const maxBytes = 2_500_000;
    const outbox = await Outbox.open({ folder, boot: BOOT, maxBytes });
    await fill(outbox, 1, 60, 100_000);
    const kept = sequences(outbox);
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, at) => 61 - kept.length + at));
    expect(kept.length).toBe(24);
    expect(outbox.dropped).toBe(36);
    expect(outbox.produced).toBe(60);
    // One segment may still hold windows that were dropped beside some that were not.
    expect(await bytesOnDisk()).toBeLessThan(maxBytes + 1_200_000);
    await outbox.close();
  });
});
