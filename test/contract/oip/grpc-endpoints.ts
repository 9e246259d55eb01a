import { describe, expect, it } from 'vitest';
import { type GrpcClient, type Message, replied } from './grpc-client.ts';
import { TEST_MODELS } from './models.ts';

const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;

const X = { name: 'x', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1] } };

/** Health, metadata, Triton's extensions, and what is answered to what is not there. */
export function describeGrpcEndpoints(client: () => GrpcClient): void {
  const get = async <T = Message>(method: string, request: Message = {}): Promise<T> =>
    replied(await client().call<T>(method, request));
  const code = async (method: string, request: Message) =>
    (await client().call(method, request)).error?.code;

  describe('methods over gRPC', () => {
    it('says that it lives and is ready', async () => {
      expect(await get('ServerLive')).toEqual({ live: true });
      expect(await get('ServerReady')).toEqual({ ready: true });
    });

    it.each(['', '1'])('says of each model that it is ready, version "%s"', async (version) => {
      expect(await get('ModelReady', { name: 'triple', version })).toEqual({ ready: true });
    });

    it('says of an unknown model or version that it is not ready', async () => {
      expect(await get('ModelReady', { name: 'nope' })).toEqual({ ready: false });
      expect(await get('ModelReady', { name: 'triple', version: '9' })).toEqual({ ready: false });
    });

    it('describes itself', async () => {
      const metadata = await get('ServerMetadata');
      expect(metadata).toMatchObject({ name: expect.any(String), version: expect.any(String) });
      expect(metadata.extensions).toContain('parameters');
    });

    it.each(['', '1'])('describes its models, version "%s"', async (version) => {
      for (const [name, inputs] of Object.entries(TEST_MODELS)) {
        const metadata = await get('ModelMetadata', { name, version });
        const shown = inputs.map((input) => ({ ...input, shape: input.shape.map(String) }));
        expect(metadata).toMatchObject({ name, versions: ['1'], inputs: shown });
      }
    });

    it('gives the configuration that Triton’s clients read', async () => {
      const { config } = await get<{ config: Message }>('ModelConfig', { name: 'triple' });
      expect(config).toMatchObject({
        name: 'triple',
        backend: 'onnxruntime',
        platform: 'onnxruntime_onnx',
        input: [
          { name: 'a', data_type: 'TYPE_FP32', dims: ['-1'] },
          { name: 'b', data_type: 'TYPE_INT64', dims: ['-1'] },
          { name: 'c', data_type: 'TYPE_STRING', dims: ['-1'] },
        ],
        output: [{ name: 'a_out' }, { name: 'b_out' }, { name: 'c_out' }],
      });
    });

    it('counts what it answers', async () => {
      const successes = async (name: string) => {
        const { model_stats } = await get<{ model_stats: Message[] }>('ModelStatistics', { name });
        const named = model_stats.filter((entry) => entry.name === 'scalar');
        return (named[0] as { inference_stats: { success: { count: string } } }).inference_stats
          .success.count;
      };
      const before = Number(await successes('scalar'));
      await get('ModelInfer', { model_name: 'scalar', inputs: [{ ...X, shape: [] }] });
      expect(Number(await successes('scalar'))).toBe(before + 1);
      expect(Number(await successes(''))).toBe(before + 1);
    });

    it('lists its versions, and lets nobody change them', async () => {
      const { models } = await get<{ models: Message[] }>('RepositoryIndex', { ready: true });
      expect(models).toContainEqual({ name: 'triple', version: '1', state: 'READY', reason: '' });
      for (const method of ['RepositoryModelLoad', 'RepositoryModelUnload']) {
        expect(await code(method, { model_name: 'triple' })).toBe(PERMISSION_DENIED);
      }
      const file = { 'file:1/model.onnx': { bytes_param: Buffer.alloc(3) } };
      const load = { model_name: 'triple', parameters: file };
      expect(await code('RepositoryModelLoad', load)).toBe(PERMISSION_DENIED);
    });

    it.each<[string, Message]>([
      ['ModelMetadata', { name: 'nope' }],
      ['ModelMetadata', { name: 'triple', version: '9' }],
      ['ModelConfig', { name: 'nope' }],
      ['ModelStatistics', { name: 'nope' }],
      ['ModelInfer', { model_name: 'nope', inputs: [X] }],
      ['ModelInfer', { model_name: 'id_fp32', model_version: '9', inputs: [X] }],
      ['Check', { service: 'nope' }],
    ])('finds no model in %s %j', async (method, request) => {
      expect(await code(method, request)).toBe(NOT_FOUND);
    });

    it.each(['SystemSharedMemoryStatus', 'TraceSetting', 'LogSettings', 'NoSuchMethod'])(
      'does not implement %s, and says so',
      async (method) => {
        const { error } = await client().call(method, {});
        expect(error).toMatchObject({ code: UNIMPLEMENTED, details: expect.stringMatching(/./) });
      },
    );

    it.each(['', 'inference.GRPCInferenceService', 'triple'])(
      'health: "%s" is serving, asked and watched',
      async (service) => {
        expect(await get('Check', { service })).toEqual({ status: 'SERVING' });
        const watch = client().watch(service);
        watch.on('error', () => undefined);
        const first = await new Promise((resolve) => watch.once('data', resolve));
        expect(first).toEqual({ status: 'SERVING' });
        watch.cancel();
      },
    );

    it('health: a watched service that is not known may come yet', async () => {
      const watch = client().watch('nope');
      watch.on('error', () => undefined);
      const first = await new Promise((resolve) => watch.once('data', resolve));
      expect(first).toEqual({ status: 'SERVICE_UNKNOWN' });
      watch.cancel();
    });

    it('gives id, version and provenance back', async () => {
      for (const model_version of ['', '1']) {
        const request = { model_name: 'id_fp32', model_version, id: 'é😀', inputs: [X] };
        expect(await get('ModelInfer', request)).toMatchObject({
          model_name: 'id_fp32',
          model_version: '1',
          id: 'é😀',
          parameters: { decision_id: { string_param: expect.stringMatching(/./) } },
        });
      }
    });
  });
}
