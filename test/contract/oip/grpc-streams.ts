import { compressionAlgorithms, Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { GrpcClient, type GrpcTarget, type Message, replied } from './grpc-client.ts';

const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const RESOURCE_EXHAUSTED = 8;

const vector = (...values: number[]): Message => ({
  model_name: 'id_fp32',
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [values.length], contents: { fp32_contents: values } },
  ],
});

const raw = (count: number) => ({
  model_name: 'id_uint8',
  inputs: [{ name: 'x', datatype: 'UINT8', shape: [count] }],
  raw_input_contents: [Buffer.alloc(count, 7)],
});

interface StreamReply {
  readonly error_message: string;
  readonly infer_response: {
    readonly id: string;
    readonly outputs: readonly { contents: { fp32_contents: number[] } }[];
  } | null;
}

/** Sends all requests at once and half-closes; resolves with the answers and the status that ended the stream. */
function converse(
  client: GrpcClient,
  requests: readonly Message[],
  metadata = new Metadata(),
): Promise<{ replies: StreamReply[]; code: number }> {
  return new Promise((resolve) => {
    const replies: StreamReply[] = [];
    const stream = client.stream(metadata);
    stream.on('data', (reply: StreamReply) => replies.push(reply));
    stream.on('error', () => undefined);
    stream.on('status', ({ code }) => resolve({ replies, code }));
    for (const request of requests) stream.write(request);
    stream.end();
  });
}

/** How calls travel: streams, packed, many at once, too large. */
export function describeGrpcStreams(target: () => GrpcTarget, client: () => GrpcClient): void {
  describe('calls over gRPC', () => {
    it('answers a stream in the order of its requests', async () => {
      const requests = Array.from({ length: 300 }, (_, at) => ({ ...vector(at), id: `r${at}` }));
      const { replies, code } = await converse(client(), requests);
      expect(code).toBe(0);
      expect(replies.map(({ infer_response }) => infer_response?.id)).toEqual(
        requests.map(({ id }) => id),
      );
      expect(replies[299].infer_response?.outputs[0].contents.fp32_contents).toEqual([299]);
    });

    it('answers an error within a stream, which goes on', async () => {
      const bad = { ...vector(1), model_name: 'nope', id: 'b' };
      const requests = [{ ...vector(1), id: 'a' }, bad, { ...vector(3), id: 'c' }];
      const { replies, code } = await converse(client(), requests);
      expect(code).toBe(0);
      expect(replies.map(({ infer_response }) => infer_response?.id)).toEqual(['a', 'b', 'c']);
      expect(replies.map(({ error_message }) => error_message !== '')).toEqual([
        false,
        true,
        false,
      ]);
    });

    it('ends a stream with the status of an error where that is asked for', async () => {
      const metadata = new Metadata();
      metadata.set('triton_grpc_error', 'true');
      const bad = { ...vector(1), model_name: 'nope' };
      const { replies, code } = await converse(client(), [vector(1), bad, vector(2)], metadata);
      expect(code).toBe(NOT_FOUND);
      expect(replies).toHaveLength(1);
    });

    it.each(['gzip', 'deflate'] as const)('takes requests packed by %s', async (name) => {
      const packing = new GrpcClient(target().address, {
        'grpc.default_compression_algorithm': compressionAlgorithms[name],
      });
      const answer = replied(await packing.infer(raw(50_000)));
      expect(answer.raw_output_contents[0].equals(Buffer.alloc(50_000, 7))).toBe(true);
      const { replies } = await converse(packing, [vector(1), vector(2)]);
      expect(replies).toHaveLength(2);
      packing.close();
    });

    it('unpacks no further than the bound', async () => {
      const packing = new GrpcClient(target().address, {
        'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
      });
      const { error } = await packing.infer(raw(target().maxBodyBytes + 1));
      expect(error?.code).toBe(RESOURCE_EXHAUSTED);
      packing.close();
    });

    it('takes a message of the bound and refuses a larger one', async () => {
      const { maxBodyBytes } = target();
      const most = raw(maxBodyBytes - 64);
      const answer = replied(await client().infer(most));
      expect(answer.raw_output_contents[0].length).toBe(maxBodyBytes - 64);
      const { error } = await client().infer(raw(maxBodyBytes));
      expect(error?.code).toBe(RESOURCE_EXHAUSTED);
      expect(replied(await client().infer(raw(1))).outputs).toHaveLength(1);
    });

    it('keeps the answers of many calls on one connection apart', async () => {
      const answers = await Promise.all(
        Array.from({ length: 2000 }, async (_, at) => {
          const request = at % 7 === 3 ? { ...vector(at), model_name: 'nope' } : vector(at);
          return client().infer({ ...request, id: `c${at}` });
        }),
      );
      for (const [at, { error, value }] of answers.entries()) {
        if (at % 7 === 3) expect(error?.code).toBe(NOT_FOUND);
        else {
          expect(value?.id).toBe(`c${at}`);
          expect(value?.outputs[0].contents?.fp32_contents).toEqual([at]);
        }
      }
    });

    it('tells in words beyond ASCII what is wrong', async () => {
      const { error } = await client().infer({ model_name: 'modèle 100% 😀\n' });
      expect(error?.code).toBe(NOT_FOUND);
      expect(error?.details).toContain('modèle 100% 😀\n');
    });

    it('answers a message that is none with what is wrong', async () => {
      const { error } = await client().infer({
        ...vector(1),
        parameters: { priority: { string_param: 'high' } },
      });
      expect(error).toMatchObject({ code: INVALID_ARGUMENT });
      expect(error?.details).toMatch(/priority/);
    });
  });
}
