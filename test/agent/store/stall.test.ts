import { afterEach, beforeEach, expect, it } from 'vitest';
import { DownloadLimits } from '../../../agent/store/download-limits.ts';
import { ask } from '../../../agent/store/request.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';

const never = new AbortController().signal;
const digest = `sha256:${'a'.repeat(64)}`;
const STALL_MS = 200;
let server: ArtifactServer;
beforeEach(async () => {
  server = await new ArtifactServer().start();
});
afterEach(() => server.stop());

it('DOWNLOAD-1: a download that its own pace holds back is no stall, and a silent server still is', async () => {
  let sendMore: () => void = () => undefined;
  server.intercept = (_req, res) => {
    res.writeHead(200, { 'content-length': 3000 });
    res.write(new Uint8Array(1000));
    sendMore = () => res.write(new Uint8Array(1000));
    return true;
  };
  const limits = new DownloadLimits({ concurrent: 1, bytesPerSecond: 1000 });
  const asked = { source: server.source, digest, part: '', range: null, signal: never } as const;
  const answer = await ask(asked, STALL_MS);
  let bytes = 0;
  const read = async () => {
    for await (const piece of answer.body) {
      bytes += piece.length;
      // Five times as long as a server may be silent.
      await limits.pace(piece.length, never);
      if (bytes === 1000) sendMore();
    }
  };
  await expect(read()).rejects.toThrow('broke off');
  expect(bytes).toBe(2000);
});
