import { Packr } from 'msgpackr';
import { z } from 'zod';
import type { DesiredMessage } from './desired.ts';
import { type DownMessage, downMessageSchema } from './down.ts';
import { ProtocolError } from './error.ts';
import { MAX_FRAME_BYTES } from './limits.ts';
import { type UpMessage, upMessageSchema } from './up.ts';

// Records (msgpackr's shared structures) are state between frames; without them every frame stands alone,
// can be relayed, replayed and read by any msgpack library.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true });

/** Characters of a value in a message; a longer one may be a secret or a file. */
const MAX_SHOWN = 60;

export function encodeUp(message: UpMessage): Uint8Array {
  return encode(message);
}

export function encodeDown(message: DownMessage): Uint8Array {
  return encode(message);
}

/**
 * A telemetry frame as its connection numbers it: one more key at the end of its map. The frame itself was encoded when
 * its window was made and stands in the outbox as it is, whichever connection carries it.
 *
 * @param frame of `encodeUp`, with at most 14 keys, as telemetry has
 */
export function numberedFrame(frame: Uint8Array, nth: number): Uint8Array {
  return withField(frame, packField('nth', nth));
}

/** A document's frame with what it has in common with others, which is encoded once. Refuses a longer one than `encodeDown`. */
export function releasedFrame(frame: Uint8Array, releases: PackedField): Uint8Array {
  return checkedSize('desired', withField(frame, releases));
}

/** The releases of a document's versions, for `releasedFrame`. */
export function packReleases(releases: NonNullable<DesiredMessage['releases']>): PackedField {
  return packField('releases', releases);
}

/** A key and its value as they stand in a frame. */
export type PackedField = Uint8Array;

const FIXMAP = 0x80;
const MOST_FIXMAP_KEYS = 15;

function packField(key: string, value: unknown): PackedField {
  const [name, packed] = [Uint8Array.from(packr.pack(key)), packr.pack(value)];
  const field = new Uint8Array(name.length + packed.length);
  field.set(name);
  field.set(packed, name.length);
  return field;
}

/** @param frame a map of at most 14 keys, which lacks the field */
function withField(frame: Uint8Array, field: PackedField): Uint8Array {
  const keys = frame[0] - FIXMAP;
  if (!(keys >= 0 && keys < MOST_FIXMAP_KEYS)) {
    throw new ProtocolError('not-msgpack', `a frame that begins with ${frame[0]} is no small map`);
  }
  const longer = new Uint8Array(frame.length + field.length);
  longer.set(frame);
  longer[0] = FIXMAP + keys + 1;
  longer.set(field, frame.length);
  return longer;
}

/** Parses one frame of an agent. Throws `ProtocolError` ('frame-too-large' | 'not-msgpack' | 'schema'). */
export function decodeUp(frame: Uint8Array): UpMessage {
  return parse(upMessageSchema, frame);
}

/** Parses one frame of the control plane. Throws as `decodeUp`. */
export function decodeDown(frame: Uint8Array): DownMessage {
  return parse(downMessageSchema, frame);
}

function encode(message: UpMessage | DownMessage): Uint8Array {
  return checkedSize(message.kind, packr.pack(message));
}

function checkedSize(kind: string, frame: Uint8Array): Uint8Array {
  if (frame.length <= MAX_FRAME_BYTES) return frame;
  throw new ProtocolError(
    'frame-too-large',
    `a "${kind}" frame of ${frame.length} bytes exceeds the ${MAX_FRAME_BYTES} allowed`,
  );
}

function parse<T>(schema: z.ZodType<T>, frame: Uint8Array): T {
  if (frame.length > MAX_FRAME_BYTES) {
    throw new ProtocolError(
      'frame-too-large',
      `a frame of ${frame.length} bytes exceeds the ${MAX_FRAME_BYTES} allowed`,
    );
  }
  let value: unknown;
  try {
    value = packr.unpack(frame);
  } catch (cause) {
    throw new ProtocolError('not-msgpack', `a frame of ${frame.length} bytes is not msgpack`, {
      cause,
    });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw new ProtocolError('schema', `a frame breaks the schema: ${describe(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  return parsed.data;
}

/** The first issues of a zod error on one line, each with its path and, of a given input, the value there. */
export function describe(error: z.ZodError, input?: unknown): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => {
      const value = input === undefined ? undefined : valueAt(input, issue.path);
      const shown = value === undefined ? '' : `, not ${JSON.stringify(value)}`;
      return `${issue.path.join('.') || '(root)'}: ${issue.message}${shown}`;
    })
    .join('; ');
}

/** A plain value to show in a message; undefined for what is not there, is no plain value or is long. */
function valueAt(
  input: unknown,
  path: readonly PropertyKey[],
): string | number | boolean | undefined {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  if (typeof value === 'string') return value.length <= MAX_SHOWN ? value : undefined;
  return typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

/** The wire schema as JSON Schema: what the pinned hash is taken over. */
export function wireSchema(): unknown {
  const options = { unrepresentable: 'any', io: 'input' } as const;
  return {
    up: z.toJSONSchema(upMessageSchema, options),
    down: z.toJSONSchema(downMessageSchema, options),
  };
}
