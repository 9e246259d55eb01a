import { expect, it } from 'vitest';
import { diagnose } from '../../../agent/command/diagnostics.ts';
import { readAgentConfig } from '../../../agent/config.ts';
import { LogTail } from '../../../agent/log-tail.ts';
import { diagnosticsSchema, MAX_LOG_LINE, MAX_LOG_LINES } from '../../../protocol/diagnostics.ts';
import { MAX_DEPLOYMENTS_PER_AGENT, MAX_FRAME_BYTES } from '../../../protocol/limits.ts';
import { encodeUp } from '../../../protocol/wire.ts';

const SECRETS = ['dlj_secret', 'hunter2', 'token=abc', '/private'];

const config = readAgentConfig(
  [
    ...['--control', 'https://user:hunter2@control.example/private?token=abc'],
    ...['--join', 'dlj_secret', '--data', '/private/data'],
    ...['--traces', 'https://user:hunter2@traces.example/private?token=abc'],
    ...['--feature-server', 'feast=https://user:hunter2@feast.example/private'],
  ],
  {},
);

function deps(tail = new LogTail()) {
  const arms = [{ arm: 'stable' as const, version: 3, manifest: 'sha256:0', share: 1 }];
  const deployments = Array.from({ length: MAX_DEPLOYMENTS_PER_AGENT }, (_, k) => ({
    ...{ name: `${k}`.padStart(128, 'd'), windowMs: 1000, serving: {}, arms },
  }));
  const processes = Array.from({ length: 256 }, (_, ordinal) => ({
    ...{ ordinal, pid: 7, rssBytes: 1, cpuUserSeconds: 1, cpuSystemSeconds: 1 },
  }));
  const engines = { wanted: 256, alive: 256, deaths: 0, unanswered: 0 };
  return {
    ...{ config, version: '1.2.3', tail },
    pool: {
      ...{ connections: 4, draining: true },
      snapshot: async () => ({ arms: [], processes, engines }),
    },
    convergence: {
      ...{ generation: 9, applied: 8, stale: false },
      serving: { agent: 'agt', generation: 8, deployments },
    },
    outbox: () => ({ pending: 1, dropped: 2, coarsened: 3 }),
    egress: () => ({ telemetry: { messages: 1, bytes: 2 } }),
  };
}

it('COMMAND-9: what a host says of itself fits its schema, and the largest fits a frame', async () => {
  const tail = new LogTail();
  for (let line = 0; line < MAX_LOG_LINES; line += 1) tail.write('é'.repeat(MAX_LOG_LINE));
  const diagnostics = await diagnose(deps(tail));
  expect(diagnosticsSchema.parse(diagnostics)).toEqual(diagnostics);
  expect(diagnostics).toMatchObject({
    ...{ version: '1.2.3', draining: true, desired: { observed: 9, applied: 8, stale: false } },
    settings: { port: 8000, control: 'https://control.example', featureServers: 'feast' },
  });
  const value = { name: 'diagnostics' as const, diagnostics };
  const outcome = { ok: true as const, value };
  const frame = encodeUp({ kind: 'result', id: `cmd_${'0'.repeat(16)}`, outcome });
  expect(frame.length).toBeLessThan(MAX_FRAME_BYTES / 2);
});

it('COMMAND-9: no token, no path and no password of an address is in it', async () => {
  const text = JSON.stringify(await diagnose(deps()));
  for (const secret of SECRETS) expect(text).not.toContain(secret);
});
