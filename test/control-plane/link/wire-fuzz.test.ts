import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { linkErrorCodeSchema } from '../../../protocol/error.ts';
import { MAX_FRAME_BYTES } from '../../../protocol/limits.ts';
import { decodeDown, encodeUp } from '../../../protocol/wire.ts';
import { anyUp } from '../../protocol/messages.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const STRANGERS = 9_600;
const MEMBERS = 400;
const AT_ONCE = 24;
const SEED = 20_261_127;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const pack = (value: unknown) => Uint8Array.from(packr.pack(value));

let control: ControlFixture;
let witness: LinkAgent;
beforeAll(async () => {
  control = await ControlFixture.start({ admissionRate: { perSecond: 1e6, burst: 1e6 } });
  witness = await control.agent('witness');
});
afterAll(() => control.stop());

const anyMessage = fc.oneof(...Object.values(anyUp));
const anyFrame = anyMessage.map((message) => Uint8Array.from(encodeUp(message)));

/** Arrays, or maps, in one another: a reader that calls itself runs out of stack. */
function nested(depth: number, opening: readonly number[]): Uint8Array {
  const frame = new Uint8Array(depth * opening.length + 1);
  for (let at = 0; at < depth; at += 1) frame.set(opening, at * opening.length);
  frame[depth * opening.length] = 1;
  return frame;
}

/** Frames that nobody should send, text among them. */
const anyWrong: fc.Arbitrary<Uint8Array | string> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ maxLength: 100 }),
  // Cut off.
  fc
    .tuple(anyFrame, fc.double({ min: 0, max: 0.999, noNaN: true }))
    .map(([frame, part]) => frame.slice(0, Math.floor(frame.length * part))),
  // A byte that tips over.
  fc.tuple(anyFrame, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([frame, at, by]) => {
    const changed = Uint8Array.from(frame);
    changed[at % frame.length] ^= by;
    return changed;
  }),
  // A field of another type, or one that is missing.
  fc
    .tuple(
      anyMessage,
      fc.nat(),
      fc.oneof(fc.constant(undefined), fc.jsonValue(), fc.bigInt(0n, 2n ** 64n - 1n)),
    )
    .map(([message, at, value]) => {
      const keys = Object.keys(message);
      return pack({ ...message, [keys[at % keys.length]]: value });
    }),
  fc
    .tuple(fc.string({ maxLength: 20 }), fc.jsonValue())
    .map(([kind, value]) => pack({ kind, value })),
  fc.jsonValue().map(pack),
  fc
    .tuple(fc.integer({ min: 1, max: 5_000 }), fc.constantFrom([0x91], [0x81, 0xa1, 0x6b]))
    .map(([depth, opening]) => nested(depth, opening)),
  // Headers that promise more than there is: an array, a map, bytes of 4 GB.
  fc.constantFrom(0xdd, 0xdf, 0xc6).map((type) => Uint8Array.of(type, 0xff, 0xff, 0xff, 0xff, 1)),
);

/** What the control plane said last, and how the link ended; null: it stands, and said nothing against it. */
interface Outcome {
  readonly refused: string | null;
  readonly closed: number | null;
}

/** What becomes of one frame on a link of its own, before a hello. */
function stranger(frame: Uint8Array | string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(control.url, { perMessageDeflate: false });
    let refused: string | null = null;
    socket.on('error', reject);
    socket.on('message', (data) => {
      const message = decodeDown(new Uint8Array(data as Buffer));
      if (message.kind === 'challenge') socket.send(frame);
      if (message.kind === 'refused') refused = message.code;
    });
    socket.on('close', (closed) => resolve({ refused, closed }));
  });
}

async function concurrently<T>(
  cases: readonly T[],
  take: (one: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < cases.length) {
      next += 1;
      await take(cases[next - 1]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function witnessIsServed(): Promise<void> {
  const acknowledged = witness.acknowledged;
  const place = { deployment: 'loans', manifest: control.manifests[0], arm: 'stable' as const };
  const windowStartMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
  const window = syntheticWindow(seeded(acknowledged), { rows: 10 });
  witness.window({ ...place, windowStartMs, windowMs: WINDOW_MS }, window);
  await witness.acked();
  expect(witness.acknowledged).toBe(acknowledged + 1);
  expect(witness.closed).toBeNull();
}

it(`LINK-11: ${STRANGERS} wrong frames of strangers each end their own link, with a code`, async () => {
  const before = process.memoryUsage().rss;
  const codes = new Map<string, number>();
  await concurrently(fc.sample(anyWrong, { numRuns: STRANGERS, seed: SEED }), async (frame) => {
    const { refused, closed } = await stranger(frame);
    expect(linkErrorCodeSchema.options, String(frame)).toContain(refused);
    expect(closed).toBe(1008);
    codes.set(String(refused), (codes.get(String(refused)) ?? 0) + 1);
  });
  // Not all of them stumble over the first check.
  expect([...codes.keys()].sort()).toEqual(
    expect.arrayContaining(['bad-frame', 'bad-message', 'unexpected-message']),
  );
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * 1024 * 1024);
  await witnessIsServed();
}, 60_000);

it(`${MEMBERS} wrong frames of an agent end its link with a code, or are a message that it may send`, async () => {
  const cases = fc.sample(anyWrong, { numRuns: MEMBERS, seed: SEED + 1 });
  const members = await Promise.all(Array.from({ length: 8 }, () => control.agent()));
  let closed = 0;
  const queue = [...cases];
  await Promise.all(
    members.map(async (member) => {
      for (let frame = queue.pop(); frame !== undefined; frame = queue.pop()) {
        member.raw(frame);
        // Answered in order: what comes behind the frame tells what became of it.
        member.raw('end');
        await member.until(() => member.closed !== null);
        expect(member.closed?.code).toBe(1008);
        expect(linkErrorCodeSchema.options).toContain(member.closed?.reason);
        closed += 1;
        await member.join(control.url, null);
        expect(member.closed).toBeNull();
      }
    }),
  );
  expect(closed).toBe(MEMBERS);
  await witnessIsServed();
}, 60_000);

it('a frame above the limit, one that is as deep as it is long, and a flood of small ones harm nobody', async () => {
  const large = new WebSocket(control.url);
  large.on('error', () => undefined);
  await new Promise((resolve) => large.on('open', resolve));
  const ended = new Promise<number>((resolve) => large.on('close', resolve));
  large.send(new Uint8Array(MAX_FRAME_BYTES + 1));
  expect(await ended).toBe(1009);

  for (const opening of [[0x91], [0x81, 0xa1, 0x6b]]) {
    const deepest = nested(Math.floor(MAX_FRAME_BYTES / opening.length) - 1, opening);
    expect(await stranger(deepest)).toEqual({ refused: 'bad-frame', closed: 1008 });
  }

  const flooding = await control.agent('flooding');
  const event = Uint8Array.from(
    encodeUp({ kind: 'event', at: 1, name: 'fell-back', detail: 'x'.repeat(200) }),
  );
  for (let at = 0; at < 20_000; at += 1) flooding.raw(event);
  await witnessIsServed();
  await flooding.cut();
}, 30_000);
