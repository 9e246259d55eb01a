import { describe, expect, it } from 'vitest';
import { getJson, infer, inferred, refused, send, type Target } from './client.ts';
import { TEST_MODELS } from './models.ts';

const BODY = JSON.stringify({
  inputs: [{ name: 'x', shape: [2], datatype: 'FP32', data: [1, 2] }],
});

/** Health, metadata, and what is answered to paths and verbs that do not exist. */
export function describeEndpoints(target: () => Target): void {
  describe('endpoints', () => {
    it.each(['live', 'ready'])('health %s answers by status and by body', async (which) => {
      expect(await getJson(target(), `/v2/health/${which}`)).toEqual({ [which]: true });
    });

    it('server metadata name the binary extension', async () => {
      const metadata = await getJson<Record<string, unknown>>(target(), '/v2');
      expect(metadata).toMatchObject({ name: expect.any(String), version: expect.any(String) });
      expect(metadata.extensions).toContain('binary_tensor_data');
    });

    it.each(['', '/versions/1'])('model metadata with "%s"', async (version) => {
      for (const [name, inputs] of Object.entries(TEST_MODELS)) {
        const metadata = await getJson(target(), `/v2/models/${name}${version}`);
        expect(metadata).toMatchObject({ name, platform: expect.any(String), inputs });
      }
    });

    it.each(['', '/versions/1'])('ready and infer with "%s"', async (version) => {
      expect(await getJson(target(), `/v2/models/id_fp32${version}/ready`)).toEqual({
        name: 'id_fp32',
        ready: true,
      });
      const answer = inferred(await infer(target(), `id_fp32${version}`, BODY));
      expect(answer).toMatchObject({ model_name: 'id_fp32', model_version: '1' });
    });

    it('decodes percent-encoded names', async () => {
      inferred(await infer(target(), 'id%5Ffp32', BODY));
      expect(await getJson(target(), '/v2/models/id%5Ffp32')).toMatchObject({ name: 'id_fp32' });
    });

    it.each([
      ['POST', '/v2/models/unknown/infer'],
      ['POST', '/v2/models/id_fp32/versions/99/infer'],
      ['POST', '/v2/models/%zz/infer'],
      ['GET', '/v2/models/unknown'],
      ['GET', '/v2/models/unknown/ready'],
      ['GET', '/v2/models/id_fp32/versions/99'],
      ['GET', '/v2/models/id_fp32/versions/99/ready'],
      ['GET', '/v2/models/unknown/config'],
      ['GET', '/v2/models/unknown/stats'],
      ['GET', '/v2/unknown'],
      ['GET', '/unknown'],
    ])('%s %s is not found', async (method, path) => {
      refused(await send(target(), method, path, method === 'POST' ? BODY : ''), 404);
    });

    it.each([
      ['GET', '/v2/models/id_fp32/infer', 'POST'],
      ['PUT', '/v2/models/id_fp32/versions/1/infer', 'POST'],
      ['POST', '/v2', 'GET'],
      ['POST', '/v2/health/live', 'GET'],
      ['DELETE', '/v2/models/id_fp32', 'GET'],
      ['POST', '/v2/models/id_fp32/ready', 'GET'],
      ['GET', '/v2/repository/index', 'POST'],
    ])('%s %s is the wrong verb', async (method, path, allowed) => {
      const answer = await send(target(), method, path);
      refused(answer, 405);
      expect(answer.headers.allow).toContain(allowed);
    });
  });
}

/** Triton's repository, configuration and statistics extensions. */
export function describeTritonExtensions(target: () => Target): void {
  describe('extensions', () => {
    it.each([undefined, '{}', '{"ready":true}'])('repository index of %s', async (body) => {
      const answer = await send(target(), 'POST', '/v2/repository/index', body);
      expect(answer.status).toBe(200);
      const index = JSON.parse(answer.body.toString()) as { name: string; state: string }[];
      const names = index.map((entry) => entry.name);
      expect(names).toEqual(expect.arrayContaining(Object.keys(TEST_MODELS)));
      expect(new Set(index.map((entry) => entry.state))).toEqual(new Set(['READY']));
    });

    it.each(['[]', '1', '{"ready":1}', '{'])('refuses an index request of %s', async (body) => {
      refused(await send(target(), 'POST', '/v2/repository/index', body), 400);
    });

    it('refuses an index request that is too large', async () => {
      const body = Buffer.alloc(1 << 20, 0x20);
      refused(await send(target(), 'POST', '/v2/repository/index', body), 413);
    });

    it.each(['load', 'unload'])('refuses %s and says who decides', async (action) => {
      const path = `/v2/repository/models/id_fp32/${action}`;
      expect(refused(await send(target(), 'POST', path, '{}'), 403)).toContain('control plane');
    });

    it('shows the configuration', async () => {
      expect(await getJson(target(), '/v2/models/triple/versions/1/config')).toMatchObject({
        name: 'triple',
        max_batch_size: 0,
        input: [
          { name: 'a', data_type: 'TYPE_FP32', dims: [-1] },
          { name: 'b', data_type: 'TYPE_INT64' },
          { name: 'c', data_type: 'TYPE_STRING' },
        ],
      });
    });

    it('counts rows, calls and time', async () => {
      const body = {
        inputs: [{ name: 'x', shape: [2, 3], datatype: 'FP32', data: [1, 2, 3, 4, 5, 6] }],
      };
      const counted = async () => {
        const stats = await getJson<{ model_stats: Record<string, unknown>[] }>(
          target(),
          '/v2/models/matrix/versions/1/stats',
        );
        return stats.model_stats[0] as {
          inference_count: number;
          execution_count: number;
          inference_stats: Record<string, { count: number; ns: number }>;
        };
      };
      const before = await counted();
      for (let call = 0; call < 3; call += 1) inferred(await infer(target(), 'matrix', body));
      const after = await counted();
      expect(after.inference_count - before.inference_count).toBe(6);
      expect(after.execution_count - before.execution_count).toBe(3);
      expect(after.inference_stats.success.count - before.inference_stats.success.count).toBe(3);
      expect(after.inference_stats.compute_infer.ns).toBeGreaterThan(0);
      const all = await getJson<{ model_stats: { name: string }[] }>(target(), '/v2/models/stats');
      expect(all.model_stats.map((entry) => entry.name)).toContain('matrix');
    });
  });
}
