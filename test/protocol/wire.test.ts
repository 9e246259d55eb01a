import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import type { DesiredMessage } from '../../protocol/desired.ts';
import { ProtocolError } from '../../protocol/error.ts';
import { MAX_FRAME_BYTES } from '../../protocol/limits.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import {
  decodeDown,
  decodeUp,
  encodeDown,
  encodeUp,
  numberedFrame,
  packReleases,
  releasedFrame,
  wireSchema,
} from '../../protocol/wire.ts';
import { anyDown, anyTelemetry, anyUp, telemetry } from './messages.ts';

const plain = new Packr({ useRecords: false, variableMapSize: true });

/** What the schema was when PROTOCOL_VERSION was last set. */
const PINNED = {
  version: 4,
  sha256: 'a1534f0ed189ac376ce473bc37c3ce4124402fa713cac799213bbe826e7739ae',
};

function kindOf(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    if (error instanceof ProtocolError) return `${error.kind}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

/** Keys in order, so that the hash says what the schema is and not how it was written down. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

describe('WIRE-1: a message comes out of its frame as it went in', () => {
  it.each(Object.entries(anyUp))('up: %s', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        expect(decodeUp(Uint8Array.from(encodeUp(message)))).toEqual(message);
      }),
    );
  });

  it.each(Object.entries(anyDown))('down: %s', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (message) => {
        expect(decodeDown(Uint8Array.from(encodeDown(message)))).toEqual(message);
      }),
    );
  });
});

describe('frames nobody should send', () => {
  it('WIRE-2: a frame leaves nothing behind for the next one', () => {
    // Extension 0x72 defines a msgpackr record; were it kept, the integer 64 would now read as one.
    const defining = Uint8Array.of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01);
    expect(kindOf(() => decodeUp(defining))).toMatch(/^schema/);
    const event = { kind: 'event' as const, at: 64, name: 'fell-back' as const, detail: '' };
    expect(decodeUp(encodeUp(event))).toEqual(event);
    const message = telemetry({ sequence: 64, windowStartMs: 65 });
    expect(structuredClone(decodeUp(encodeUp(message)))).toEqual(message);
  });

  it('WIRE-3: random bytes are refused as a ProtocolError and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (frame) => {
        expect(kindOf(() => decodeUp(frame))).toMatch(/^(not-msgpack|schema): /);
        expect(kindOf(() => decodeDown(frame))).toMatch(/^(not-msgpack|schema): /);
      }),
      { numRuns: 2000 },
    );
  });

  it('WIRE-3: a frame cut anywhere is refused', () => {
    const frame = Uint8Array.from(encodeUp(telemetry()));
    for (let length = 0; length < frame.length; length += 1) {
      expect(kindOf(() => decodeUp(frame.subarray(0, length)))).toMatch(/^(not-msgpack|schema): /);
    }
  });

  it.each([
    ['a million nested arrays', new Uint8Array(MAX_FRAME_BYTES).fill(0x91)],
    ['a million nested maps', new Uint8Array(MAX_FRAME_BYTES).fill(0x81)],
    ['an array that claims 4 billion entries', Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a map that claims 4 billion entries', Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['binary that claims 4 GB', Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff, 0x00)],
    ['nothing', new Uint8Array(0)],
  ])('WIRE-3: %s is refused at once', (_, frame) => {
    const before = performance.now();
    expect(kindOf(() => decodeUp(frame))).toMatch(/^not-msgpack: a frame of \d+ bytes/);
    expect(performance.now() - before).toBeLessThan(1000);
  });

  it('WIRE-4: an unknown kind, and one of the other direction, are refused by name', () => {
    expect(kindOf(() => decodeUp(plain.pack({ kind: 'gossip' })))).toMatch(/^schema: .*kind/);
    const ack = encodeDown({ kind: 'ack', boot: '00112233aabbccdd', sequence: 1 });
    expect(kindOf(() => decodeUp(ack))).toMatch(/^schema: .*kind/);
    expect(kindOf(() => decodeDown(encodeUp(telemetry())))).toMatch(/^schema: .*kind/);
    for (const value of [null, 1, 'hello', [], {}]) {
      expect(kindOf(() => decodeUp(plain.pack(value)))).toMatch(/^schema: /);
    }
  });

  it('WIRE-4: a field that breaks the schema is named', () => {
    const frame = plain.pack({ ...telemetry(), sequence: 0, arm: 'shadow' });
    expect(kindOf(() => decodeUp(frame))).toMatch(/^schema: .*sequence.*arm/);
  });

  it('WIRE-5: a field that this version does not know is left out, not refused', () => {
    const frame = plain.pack({ ...telemetry(), colour: 'green' });
    expect(structuredClone(decodeUp(frame))).toEqual(telemetry());
  });
});

describe('LIMIT-1: a frame', () => {
  // A desired message has the one field that may be as long as a frame.
  const desired = (size: number) => ({
    kind: 'desired' as const,
    envelope: {
      payload: new Uint8Array(size),
      keyId: '0123456789abcdef',
      signature: new Uint8Array(64),
    },
  });
  const overhead = encodeDown(desired(MAX_FRAME_BYTES / 2)).length - MAX_FRAME_BYTES / 2;

  it('of exactly the limit is sent and taken', () => {
    const frame = encodeDown(desired(MAX_FRAME_BYTES - overhead));
    expect(frame.length).toBe(MAX_FRAME_BYTES);
    expect(decodeDown(frame).kind).toBe('desired');
  });

  it('of one byte more is refused by sender and receiver', () => {
    const message = desired(MAX_FRAME_BYTES - overhead + 1);
    expect(kindOf(() => encodeDown(message))).toBe(
      `frame-too-large: a "desired" frame of ${MAX_FRAME_BYTES + 1} bytes exceeds the ${MAX_FRAME_BYTES} allowed`,
    );
    expect(kindOf(() => decodeDown(plain.pack(message)))).toBe(
      `frame-too-large: a frame of ${MAX_FRAME_BYTES + 1} bytes exceeds the ${MAX_FRAME_BYTES} allowed`,
    );
  });
});

describe('WIRE-6: the schema of the wire', () => {
  it('is the one pinned for this PROTOCOL_VERSION', () => {
    const sha256 = createHash('sha256').update(stable(wireSchema())).digest('hex');
    expect(
      { version: PROTOCOL_VERSION, sha256 },
      'the wire changed: bump PROTOCOL_VERSION with a line of history, then pin the new hash',
    ).toEqual(PINNED);
  });

  it('shows what matters to the hash: a bound, a key, an optional field', () => {
    const text = stable(wireSchema());
    expect(text).toContain('"bytes":32');
    expect(text).toContain('"maxLength":128');
    expect(stable({ b: 1, a: { d: [2], c: 3 } })).toBe('{"a":{"c":3,"d":[2]},"b":1}');
  });
});

describe('the frame of a document and the releases that it shares with others', () => {
  it('is the frame of the document with its releases', () => {
    fc.assert(
      fc.property(anyDown.desired, (message) => {
        const { releases = [], ...alone } = message as DesiredMessage;
        const frame = releasedFrame(encodeDown(alone), packReleases(releases));
        expect(decodeDown(frame)).toEqual({ ...alone, releases });
      }),
    );
  });

  it('LIMIT-1: has at most MAX_FRAME_BYTES', () => {
    const alone = Uint8Array.from(encodeDown({ kind: 'ack', boot: '0'.repeat(16), sequence: 1 }));
    const room = (bytes: number) => new Uint8Array(bytes - alone.length);
    expect(releasedFrame(alone, room(MAX_FRAME_BYTES))).toHaveLength(MAX_FRAME_BYTES);
    expect(() => releasedFrame(alone, room(MAX_FRAME_BYTES + 1))).toThrow('exceeds the 1048576');
  });
});

describe('TELEM-20: a telemetry frame that its connection numbers', () => {
  it('says what it said, and its number', () => {
    fc.assert(
      fc.property(anyTelemetry, fc.integer({ min: 1, max: 2 ** 40 }), (message, nth) => {
        const frame = Uint8Array.from(encodeUp(message));
        expect(decodeUp(numberedFrame(frame, nth))).toEqual({ ...message, nth });
        expect(decodeUp(frame)).toEqual(message);
      }),
    );
  });

  it('is no other frame than a small map', () => {
    expect(() => numberedFrame(Uint8Array.of(0x93, 1, 2, 3), 1)).toThrow('no small map');
    expect(() => numberedFrame(Uint8Array.of(0x8f), 1)).toThrow('no small map');
  });
});
