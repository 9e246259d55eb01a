import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../../../control-plane/cli/client.ts';
import { digestOfFile, uploadFile } from '../../../control-plane/cli/upload.ts';
import { type ControlPlane, startControlPlane } from '../../../control-plane/main.ts';

const SIZE_BYTES = 300_000;

describe('upload', () => {
  let folder: string;
  let control: ControlPlane;
  let client: Client;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'driftline-cli-'));
    const dataDir = join(folder, 'control');
    const log = pino({ level: 'silent' });
    control = await startControlPlane({ dataDir, host: '127.0.0.1', port: 0, hostNames: [] }, log);
    client = new Client({ url: control.url, token: control.adminToken });
  });

  afterAll(async () => {
    client.close();
    await control.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function file(name: string) {
    const path = join(folder, name);
    const bytes = randomBytes(SIZE_BYTES);
    await writeFile(path, bytes);
    return { path, bytes, digest: await digestOfFile(path) };
  }

  it('sends a file once, and then nothing', async () => {
    const { path, digest } = await file('once');
    const seen: number[] = [];
    const first = await uploadFile(client, path, (done) => seen.push(done));
    expect(first).toEqual({ digest, sizeBytes: SIZE_BYTES, sentBytes: SIZE_BYTES });
    expect(seen.at(-1)).toBe(SIZE_BYTES);
    const again = await uploadFile(client, path, () => undefined);
    expect(again.sentBytes).toBe(0);
  });

  it('continues where a broken upload ended', async () => {
    const { path, bytes, digest } = await file('half');
    // As a connection that broke would have left it.
    const part = bytes.subarray(0, 100_000);
    const answer = await fetch(`${control.url}/api/v1/artifacts/${digest}`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${control.adminToken}`,
        'content-type': 'application/octet-stream',
        'content-range': `bytes 0-${part.length - 1}/${SIZE_BYTES}`,
      },
      body: part,
    });
    expect(answer.status).toBe(202);
    const sent = await uploadFile(client, path, () => undefined);
    expect(sent.sentBytes).toBe(SIZE_BYTES - part.length);
    expect((await client.send('HEAD', `/api/v1/artifacts/${digest}`, {})).status).toBe(200);
  });

  it('says what is wrong and what to do when the token is missing or wrong', async () => {
    const { path } = await file('refused');
    for (const [token, hint] of [
      [null, 'export DRIFTLINE_TOKEN'],
      ['dlt_wrong', 'check DRIFTLINE_TOKEN'],
    ] as const) {
      const stranger = new Client({ url: control.url, token });
      await expect(uploadFile(stranger, path, () => undefined)).rejects.toThrow(hint);
      stranger.close();
    }
  });

  it('names the address when nobody answers there', async () => {
    const nobody = new Client({ url: 'http://127.0.0.1:1', token: null });
    await expect(nobody.get('/api/v1/models')).rejects.toThrow(/127\.0\.0\.1:1 \(ECONNREFUSED\)/);
    nobody.close();
  });
});
