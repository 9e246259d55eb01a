import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  type ArmSnapshot,
  type HostSnapshot,
  sparseLatency,
} from '../../../agent/engine/snapshot.ts';
import { type AgentFigures, renderMetrics } from '../../../agent/metrics/exposition.ts';
import { cumulativeLatency, LATENCY_BOUNDS_US } from '../../../agent/metrics/latency-buckets.ts';
import { addLatency, emptyLatency } from '../../../protocol/sketch/latency.ts';

const latency = emptyLatency();
for (const us of [10, 20, 1000, 1024, 5e6]) addLatency(latency, us);

const timing = { count: 5, ms: 2.5 };
const arm: ArmSnapshot = {
  ...{ deployment: 'loans', version: 3, arm: 'stable', manifest: 'sha256:1' },
  ...{ inferences: 12, executions: 4, lastInferenceMs: 1, pending: 2 },
  ...{ success: timing, fail: { count: 1, ms: 1 }, queue: timing },
  ...{ computeInput: timing, computeInfer: timing, computeOutput: timing },
  failures: { overloaded: 1 },
  batches: [
    { size: 1, executions: 1, ms: 1 },
    { size: 3, executions: 1, ms: 1 },
    { size: 8, executions: 1, ms: 1 },
  ],
  latency: sparseLatency(latency),
};
const host: HostSnapshot = {
  arms: [arm, { ...arm, arm: 'candidate' }, { ...arm, deployment: 'odd "name"\n\\', version: 1 }],
  processes: [{ ordinal: 0, pid: 7, rssBytes: 1e8, cpuUserSeconds: 1.5, cpuSystemSeconds: 0.25 }],
  engines: { wanted: 2, alive: 1, unanswered: 0, deaths: 1 },
};
const agent: AgentFigures = {
  generation: 4,
  appliedGeneration: 3,
  linkUp: true,
  outbox: { pending: 1, dropped: 0, coarsened: 2, produced: 9 },
  egress: { telemetry: { messages: 3, bytes: 700 } },
  connections: 5,
  labels: [
    {
      deployment: 'loans',
      labels: { joined: 7, duplicate: 1, conflicting: 0, unknown: 2, expired: 0, invalid: 0 },
      rows: 90,
      bytes: 4000,
      evicted: 3,
      drifts: { adwin: 1 },
    },
  ],
  restraints: [
    { deployment: 'loans', keptOut: 1, leaseHeld: false },
    { deployment: 'cards', keptOut: 0, leaseHeld: null },
  ],
  supervisor: { rssBytes: 6e7, cpuUserSeconds: 1, cpuSystemSeconds: 1 },
};
const text = renderMetrics(host, agent);
const value = (series: string) => {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
};

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;

describe('the metrics of a host', () => {
  it('carry Triton’s names with both arms of a version added up', () => {
    const labels = '{model="loans",version="3"}';
    expect(value(`nv_inference_request_success${labels}`)).toBe(10);
    expect(value(`nv_inference_request_failure${labels}`)).toBe(2);
    expect(value(`nv_inference_count${labels}`)).toBe(24);
    expect(value(`nv_inference_exec_count${labels}`)).toBe(8);
    expect(value(`nv_inference_pending_request_count${labels}`)).toBe(4);
    for (const part of ['request', 'queue', 'compute_input', 'compute_infer', 'compute_output']) {
      expect(value(`nv_inference_${part}_duration_us${labels}`)).toBe(5000);
    }
  });

  it('carry exact latency and batch histograms of each arm', () => {
    const labels = 'model="loans",version="3",arm="stable"';
    const bucket = (le: string) =>
      value(`driftline_request_duration_seconds_bucket{${labels},le="${le}"}`);
    expect(bucket('0.000016')).toBe(1);
    expect(bucket('0.000032')).toBe(2);
    expect(bucket('0.001024')).toBe(3);
    expect(bucket('0.002048')).toBe(4);
    expect(bucket('+Inf')).toBe(5);
    expect(value(`driftline_request_duration_seconds_count{${labels}}`)).toBe(5);
    expect(value(`driftline_batch_rows_bucket{${labels},le="4"}`)).toBe(2);
    expect(value(`driftline_batch_rows_sum{${labels}}`)).toBe(12);
    expect(value(`driftline_request_errors_total{${labels},code="overloaded"}`)).toBe(1);
  });

  it('carry what the supervisor knows', () => {
    expect(value('driftline_engines')).toBe(1);
    expect(value('driftline_engine_deaths_total')).toBe(1);
    expect(value('driftline_link_up')).toBe(1);
    expect(value('driftline_generation_applied')).toBe(3);
    expect(value('driftline_outbox_pending')).toBe(1);
    expect(value('driftline_process_resident_memory_bytes{process="engine-0"}')).toBe(1e8);
  });

  it('carry what the host does not let serve', () => {
    expect(value('driftline_guard_kept_out{model="loans"}')).toBe(1);
    expect(value('driftline_lease_held{model="loans"}')).toBe(0);
    expect(value('driftline_guard_kept_out{model="cards"}')).toBe(0);
    expect(value('driftline_lease_held{model="cards"}')).toBeNull();
  });

  it('escape what a label may hold', () => {
    expect(text).toContain('model="odd \\"name\\"\\n\\\\"');
  });

  it.skipIf(!hasPromtool)('are what promtool takes, but for the names that Triton chose', () => {
    const { stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    const complaints = (stdout + stderr).split('\n').filter((line) => line !== '');
    const others = complaints.filter(
      (line) =>
        !/^nv_\w+ (counter metrics should have|non-histogram and|metric names should not)/.test(
          line,
        ),
    );
    expect(others).toEqual([]);
    expect(complaints.length).toBeGreaterThan(0);
  });

  it('count each duration under every bound above it', () => {
    const counts = cumulativeLatency(sparseLatency(latency));
    for (const [at, boundUs] of LATENCY_BOUNDS_US.entries()) {
      const below = [10, 20, 1000, 1024, 5e6].filter((us) => us < boundUs).length;
      expect(counts[at]).toEqual([boundUs, below]);
    }
  });
});
