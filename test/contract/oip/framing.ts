import { connect } from 'node:net';
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  type Answer,
  HEADER_LENGTH,
  infer,
  inferred,
  refused,
  send,
  type Target,
} from './client.ts';
import { byteStrings } from './models.ts';

const FLOATS = Buffer.from(Float32Array.of(1, 2).buffer);
const PATH = '/v2/models/id_fp32/infer';

function vector(sizeBytes: unknown, count: unknown = 2, datatype = 'FP32', extra = {}) {
  const parameters = { binary_data_size: sizeBytes };
  return { inputs: [{ name: 'x', shape: [count], datatype, parameters, ...extra }] };
}

/** What is refused of a binary request, and how bodies travel: packed, in chunks, too large, cut off. */
export function describeFraming(target: () => Target): void {
  describe('framing', () => {
    const json = JSON.stringify(vector(8));

    it.each([
      ['-1'],
      ['+1'],
      ['1.5'],
      ['1e2'],
      ['0x10'],
      ['abc'],
      [''],
      ['99999999999999999999'],
      [String(json.length + FLOATS.length + 1)],
      [String(json.length - 1)],
      [String(json.length + 1)],
      [[String(json.length), String(json.length)]],
    ])('refuses a header length of "%s"', async (length) => {
      refused(await infer(target(), 'id_fp32', json, [FLOATS], { [HEADER_LENGTH]: length }), 400);
    });

    it('needs the header length for binary inputs', async () => {
      expect(refused(await infer(target(), 'id_fp32', json), 400)).toMatch(/Header-Content-Length/);
      const whole = Buffer.concat([Buffer.from(json), FLOATS]);
      refused(await send(target(), 'POST', PATH, whole), 400);
    });

    it('takes the header length of a body that is JSON only', async () => {
      const request = { inputs: [{ name: 'x', shape: [1], datatype: 'FP32', data: [1] }] };
      inferred(await infer(target(), 'id_fp32', request, []));
    });

    it.each([
      ['one byte short', vector(8), FLOATS.subarray(0, 7)],
      ['one byte long', vector(8), Buffer.concat([FLOATS, Buffer.alloc(1)])],
      ['a size that is not the shape’s', vector(4), FLOATS.subarray(0, 4)],
      ['a size of no number', vector('8'), FLOATS],
      ['a negative size', vector(-8), FLOATS],
      ['a size of a fraction', vector(7.5), FLOATS],
      ['a size beyond the safe integers', vector(2 ** 63), FLOATS],
      ['a size near their end', vector(Number.MAX_SAFE_INTEGER), FLOATS],
      ['null', vector(null), FLOATS],
      ['data and bytes', vector(8, 2, 'FP32', { data: [1, 2] }), FLOATS],
      ['a shape whose product overflows', vector(8, 2 ** 62), FLOATS],
    ])('refuses %s', async (_, request, bytes) => {
      refused(await infer(target(), 'id_fp32', request, [bytes]), 400);
    });

    it('sums sizes without overflow', async () => {
      const size = 2 ** 31 - 1;
      const inputs = ['a', 'c'].map((name) => ({
        name,
        shape: [1],
        datatype: name === 'a' ? 'FP32' : 'BYTES',
        parameters: { binary_data_size: name === 'a' ? 4 : Number.MAX_SAFE_INTEGER - size },
      }));
      const b = { name: 'b', shape: [0], datatype: 'INT64', data: [] };
      refused(await infer(target(), 'triple', { inputs: [...inputs, b] }, [FLOATS]), 400);
    });

    it.each([
      ['a byte that is no boolean', 'id_bool', 'BOOL', 1, Buffer.from([2])],
      ['a length cut off', 'id_bytes', 'BYTES', 1, Buffer.from([1, 0, 0])],
      ['an element cut off', 'id_bytes', 'BYTES', 1, Buffer.from([2, 0, 0, 0, 65])],
      ['a length of 4 GiB', 'id_bytes', 'BYTES', 1, Buffer.from([255, 255, 255, 255, 65])],
      ['too few elements', 'id_bytes', 'BYTES', 2, byteStrings('a')],
      ['too many elements', 'id_bytes', 'BYTES', 1, byteStrings('a', 'b')],
      ['an embedded NUL', 'id_bytes', 'BYTES', 1, byteStrings('a\0b')],
      ['BYTES that are not UTF-8', 'id_bytes', 'BYTES', 1, byteStrings(Buffer.from([0xff]))],
    ])('refuses %s, never changing it silently', async (_, model, datatype, count, bytes) => {
      refused(await infer(target(), model, vector(bytes.length, count, datatype), [bytes]), 400);
    });

    it.each([
      ['gzip', gzipSync],
      ['GZIP', gzipSync],
      ['deflate', deflateSync],
      ['deflate', deflateRawSync],
      ['identity', (bytes: Buffer) => bytes],
    ])('takes a binary request packed by %s', async (encoding, pack) => {
      const packed = pack(Buffer.concat([Buffer.from(json), FLOATS]));
      const headers = { 'content-encoding': encoding, [HEADER_LENGTH]: String(json.length) };
      const answer = inferred(await send(target(), 'POST', PATH, packed, headers));
      expect(answer.outputs[0].data).toEqual([1, 2]);
    });

    it.each(['br', 'gzip, deflate', 'nonsense'])('refuses the encoding %s', async (encoding) => {
      const answer = await send(target(), 'POST', PATH, json, { 'content-encoding': encoding });
      refused(answer, 415);
      expect(answer.headers['accept-encoding']).toContain('gzip');
    });

    it('refuses bytes that are not in the encoding they say', async () => {
      const cut = gzipSync(json).subarray(0, 20);
      for (const body of [json, Buffer.alloc(0), cut]) {
        refused(await send(target(), 'POST', PATH, body, { 'content-encoding': 'gzip' }), 400);
      }
    });

    it('unpacks no further than the bound', async () => {
      const bomb = gzipSync(Buffer.alloc(target().maxBodyBytes + 1, 0x20));
      refused(await send(target(), 'POST', PATH, bomb, { 'content-encoding': 'gzip' }), 413);
    });

    it('packs a large answer when asked, and no small one', async () => {
      const large = vector(400_000, 100_000);
      const bytes = Buffer.alloc(400_000, 1);
      const ask = (accept: string) =>
        infer(
          target(),
          'id_fp32',
          { ...large, parameters: { binary_data_output: true } },
          [bytes],
          {
            'accept-encoding': accept,
          },
        );
      const unpackers = { gzip: gunzipSync, deflate: inflateSync };
      for (const [accept, encoding] of [
        ['gzip', 'gzip'],
        ['deflate, gzip;q=0.5', 'deflate'],
        ['br, *', 'gzip'],
      ] as const) {
        const answer = await ask(accept);
        expect(answer.headers['content-encoding']).toBe(encoding);
        const plain: Answer = { ...answer, body: unpackers[encoding](answer.body) };
        expect(inferred(plain).outputs[0].bytes?.equals(bytes)).toBe(true);
      }
      for (const accept of ['identity', 'br', 'gzip;q=0', '']) {
        const answer = await ask(accept);
        expect(answer.headers['content-encoding']).toBeUndefined();
        expect(inferred(answer).outputs[0].bytes?.equals(bytes)).toBe(true);
      }
      const small = await infer(target(), 'id_fp32', json, [FLOATS], { 'accept-encoding': 'gzip' });
      expect(small.headers['content-encoding']).toBeUndefined();
    });

    it('takes a body in chunks', async () => {
      const whole = Buffer.concat([Buffer.from(json), FLOATS]);
      const parts = [whole.subarray(0, 10), whole.subarray(10, -3), whole.subarray(-3)];
      const headers = { [HEADER_LENGTH]: String(json.length) };
      const answer = inferred(await send(target(), 'POST', PATH, parts, headers));
      expect(answer.outputs[0].data).toEqual([1, 2]);
    });

    it('takes a body at the bound and refuses one byte more, declared or in chunks', async () => {
      const { maxBodyBytes } = target();
      const headers = { [HEADER_LENGTH]: '0' };
      const path = '/v2/models/id_uint8/infer';
      const most = Buffer.alloc(maxBodyBytes, 7);
      const answer = await send(target(), 'POST', path, most, headers);
      expect(inferred(answer).outputs[0].shape).toEqual([maxBodyBytes]);
      const socket = connect(Number(new URL(target().url).port), new URL(target().url).hostname);
      const text = await new Promise<string>((resolve, reject) => {
        socket.on('error', reject);
        socket.on('data', (chunk) => resolve(chunk.toString()));
        socket.write(
          `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${maxBodyBytes + 1}\r\n\r\n`,
        );
      });
      socket.destroy();
      expect(text).toMatch(/^HTTP\/1.1 413/);
      const chunks = [most, Buffer.alloc(1)];
      const refusal = await send(target(), 'POST', path, chunks, headers).catch(() => null);
      // A client that still writes may see its connection end before it reads why.
      if (refusal !== null) refused(refusal, 413);
    });

    it('lives on when a client leaves in the middle of a body', async () => {
      for (const length of [1000, 1_000_000]) {
        const { port, hostname } = new URL(target().url);
        await new Promise<void>((resolve, reject) => {
          const socket = connect(Number(port), hostname);
          socket.on('error', reject);
          socket.on('close', () => resolve());
          const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n{"inputs"`;
          socket.write(head, () => socket.destroy());
        });
      }
      inferred(await infer(target(), 'id_fp32', json, [FLOATS]));
    });

    it.each(['nonsense\r\n\r\n', `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n`])(
      'answers bytes that are no HTTP in the shape of its errors: %j',
      async (bytes) => {
        const { port, hostname } = new URL(target().url);
        const text = await new Promise<string>((resolve, reject) => {
          const socket = connect(Number(port), hostname, () => socket.write(bytes));
          let received = '';
          socket.on('data', (chunk) => {
            received += chunk;
          });
          socket.on('error', reject);
          socket.on('close', () => resolve(received));
        });
        expect(text).toMatch(/^HTTP\/1.1 400/);
        expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).toHaveProperty('error');
      },
    );
  });
}
