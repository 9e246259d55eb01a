import { expect, test } from 'vitest';
import { driftFamilies, MAX_STREAM_SERIES } from '../../../control-plane/http/metrics.ts';
import { openAlert } from '../../../control-plane/store/alerts.ts';
import { ControlApp, pushExample } from '../../support/control-app.ts';

test('/metrics shows the fleet, each stream and open alerts, to who has a token', async () => {
  const app = await ControlApp.open();
  try {
    const version = await pushExample(app, 'v1');
    await app.ask('PUT', '/api/v1/deployments/loans', { json: { model: 'mortgage', version } });
    const manifest = `sha256:${'a'.repeat(64)}`;
    const alert = {
      deployment: 'loans',
      manifest,
      kind: 'errors' as const,
      detail: {},
      openedAt: 1,
    };
    await app.store.write((tx) => openAlert(tx, alert));
    expect((await app.ask('GET', '/metrics', { as: null })).status).toBe(401);
    const response = await app.ask('GET', '/metrics', { as: 'viewer' });
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('driftline_agents 0\n');
    expect(text).toContain(`driftline_deployment_version{deployment="loans"} ${version}\n`);
    expect(text).toContain('driftline_drift_state{deployment="loans",stream="errors"} 0\n');
    expect(text).toContain('driftline_alerts_open{deployment="loans",kind="errors"} 1\n');
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [-+.\w]+)$/);
    }
  } finally {
    await app.close();
  }
});

test('streams beyond the bound are left out and counted', () => {
  const stream = {
    name: 'x',
    verdict: 'ok' as const,
    rows: 0,
    psi: null,
    debiasedPsi: null,
    logP: null,
    ...{ kind: 'feature', severity: null, effect: null },
    updatedAt: null,
  };
  const drift = Array.from({ length: MAX_STREAM_SERIES + 1 }, (_, at) => ({
    ...stream,
    stream: `feature:${at}`,
  }));
  const text = driftFamilies([{ deployment: 'd', version: 1, drift }])
    .map(String)
    .join('');
  expect(text.match(/^driftline_drift_state\{/gm)).toHaveLength(MAX_STREAM_SERIES);
  expect(text).toContain('driftline_drift_streams_omitted 1\n');
});
