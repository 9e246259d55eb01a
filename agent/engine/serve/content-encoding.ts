import { promisify } from 'node:util';
import { deflate, gunzip, gzip, inflate, inflateRaw } from 'node:zlib';
import { OipError } from './oip-error.ts';

/** What a request body may be packed in, and what an answer may be asked in. */
export type Encoding = 'gzip' | 'deflate';

/** For the `Accept-Encoding` header of a refusal: what would have been taken (RFC 9110, section 15.5.16). */
export const SUPPORTED_ENCODINGS = 'gzip, deflate';

/**
 * Answers below this go out as they are although the client accepts gzip: most HTTP libraries always say that
 * they do, and packing 64 KB costs more time than sending it takes on any network faster than 1 Gbit/s.
 */
export const MIN_COMPRESSED_BYTES = 64 * 1024;

/** Fast over small: tensors are packed on the serving host, where the cores are. */
const LEVEL = 1;

/** Low nibble of a zlib header's first byte: method 8, deflate (RFC 1950). */
const ZLIB_METHOD = 8;

const unpackers = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  raw: promisify(inflateRaw),
} as const;
const packers = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;

/** The encoding that a `Content-Encoding` header names; null for none. Throws 'unsupported_encoding'. */
export function requestEncoding(header: string | undefined): Encoding | null {
  if (header === undefined) return null;
  const name = header.trim().toLowerCase();
  if (name === '' || name === 'identity') return null;
  if (name === 'gzip' || name === 'x-gzip') return 'gzip';
  if (name === 'deflate') return 'deflate';
  throw new OipError(
    'unsupported_encoding',
    `content-encoding "${header.slice(0, 60)}" is not supported; use one of ${SUPPORTED_ENCODINGS}`,
  );
}

/**
 * Unpacks a request body into at most `maxBytes`: unpacking stops at the bound, so a bomb costs no more memory
 * than the largest honest body. How many are unpacked at once is the gate's matter, which all bodies pass. Throws
 * 'body_too_large', or 'bad_request' for bytes that are not that encoding.
 */
export async function unpack(body: Buffer, encoding: Encoding, maxBytes: number): Promise<Buffer> {
  // "deflate" is the zlib format, but some clients send the bare stream; the header byte tells them apart.
  const bare = encoding === 'deflate' && body.length > 0 && (body[0] & 0x0f) !== ZLIB_METHOD;
  try {
    return await unpackers[bare ? 'raw' : encoding](body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new OipError(
        'body_too_large',
        `the body unpacks to more than the ${maxBytes} bytes allowed`,
        { cause },
      );
    }
    throw new OipError(
      'bad_request',
      `the body is not valid ${encoding}: ${(cause as Error).message}`,
      { cause },
    );
  }
}

export function pack(body: Buffer, encoding: Encoding): Promise<Buffer> {
  return packers[encoding](body, { level: LEVEL });
}

/** The encoding of an `Accept-Encoding` header with the highest weight, gzip first; null for none (RFC 9110, 12.5.3). */
export function acceptedEncoding(header: string | undefined): Encoding | null {
  if (header === undefined) return null;
  const weights = new Map<string, number>();
  for (const part of header.toLowerCase().split(',')) {
    const [name, ...parameters] = part.split(';').map((text) => text.trim());
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = quality === undefined ? 1 : Number(quality.slice(2));
    weights.set(name, Number.isFinite(weight) ? weight : 0);
  }
  const weightOf = (name: Encoding) => weights.get(name) ?? weights.get('*') ?? 0;
  const best: Encoding = weightOf('deflate') > weightOf('gzip') ? 'deflate' : 'gzip';
  return weightOf(best) > 0 ? best : null;
}
