import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coarsen } from '../../../agent/link/coarsen.ts';
import { MAX_WINDOW_MS } from '../../../protocol/limits.ts';
import { decodeWindow, encodeWindow } from '../../../protocol/sketch/codec.ts';
import type { TelemetryMessage } from '../../../protocol/telemetry.ts';
import { telemetry } from '../../protocol/messages.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const body = (rows: number) => encodeWindow(syntheticWindow(seeded(rows), { rows }));
const BODIES = [1, 2, 3].map(body);

function window(sequence: number, windowStartMs: number, fields: Partial<TelemetryMessage> = {}) {
  return telemetry({ sequence, windowStartMs, body: BODIES[sequence % 3], ...fields });
}

const places = (messages: readonly TelemetryMessage[]) =>
  messages.map(({ sequence, windowStartMs, windowMs, windows }) => [
    sequence,
    windowStartMs,
    windowMs,
    windows,
  ]);

const rowsIn = (messages: readonly TelemetryMessage[]) =>
  messages.reduce((sum, message) => sum + decodeWindow(message.body).rows, 0);

describe('OUTBOX-1: windows made coarser', () => {
  it('are those that fall into one window of twice their length, where the last of them stood', () => {
    const coarse = coarsen([1, 2, 3, 4].map((at) => window(at, at * 1000)));
    expect(places(coarse)).toEqual([
      [1, 1000, 1000, 1],
      [3, 2000, 2000, 2],
      [4, 4000, 1000, 1],
    ]);
    const [, pair] = coarse;
    expect(decodeWindow(pair.body).rows).toBe(rowsIn([window(2, 2000), window(3, 3000)]));
  });

  it('keep their time where they are the same window of several engines', () => {
    expect(places(coarsen([window(1, 2000), window(2, 2000)]))).toEqual([[2, 2000, 1000, 2]]);
  });

  it('are not mixed over versions, arms, deployments or clocks', () => {
    const apart = [
      window(1, 0),
      window(2, 0, { arm: 'candidate' }),
      window(3, 0, { deployment: 'other' }),
      window(4, 0, { manifest: `sha256:${'f'.repeat(64)}` }),
      window(5, 0, { clockAheadMs: 90_000 }),
    ];
    expect(coarsen(apart)).toEqual(apart);
  });

  it('stay as they are where their bytes are no windows, or no longer than an hour they can be', () => {
    const broken = [window(1, 0, { body: Uint8Array.of(1) }), window(2, 1000)];
    expect(coarsen(broken)).toEqual(broken);
    const hours = [0, MAX_WINDOW_MS].map((start, at) =>
      window(at + 1, start, { windowMs: MAX_WINDOW_MS }),
    );
    expect(coarsen(hours)).toEqual(hours);
  });

  it('lose no row, no window and no order, however often', () => {
    const anyWindow = fc.record({
      at: fc.nat(40),
      arm: fc.constantFrom('stable' as const, 'candidate' as const),
    });
    fc.assert(
      fc.property(fc.array(anyWindow, { maxLength: 40 }), (list) => {
        let messages: TelemetryMessage[] = list.map(({ at, arm }, k) =>
          window(k + 1, at * 1000, { arm }),
        );
        const rows = rowsIn(messages);
        for (let round = 0; round < 4; round += 1) {
          const coarse = coarsen(messages);
          expect(coarse.length).toBeLessThanOrEqual(messages.length);
          messages = coarse;
        }
        expect(rowsIn(messages)).toBe(rows);
        expect(messages.reduce((sum, { windows }) => sum + windows, 0)).toBe(list.length);
        const order = messages.map(({ sequence }) => sequence);
        expect(order).toEqual(order.toSorted((a, b) => a - b));
        for (const { windowStartMs, windowMs } of messages)
          expect(windowStartMs % windowMs).toBe(0);
      }),
    );
  });
});
