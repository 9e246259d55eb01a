import { Family } from '../../protocol/prometheus-text.ts';
import type { ArmSnapshot, HostSnapshot, Timing } from '../engine/snapshot.ts';
import type { LabelFigures } from '../labels/label-figures.ts';
import type { Egress } from '../link/egress.ts';
import { cumulativeLatency } from './latency-buckets.ts';

/** What this host decided by itself of one deployment. */
export interface RestraintFigures {
  readonly deployment: string;
  /** Versions that its guard keeps out. */
  readonly keptOut: number;
  /** Null: it has no lease. */
  readonly leaseHeld: boolean | null;
}

/** What the supervisor knows beside its engines. */
export interface AgentFigures {
  readonly generation: number;
  readonly appliedGeneration: number;
  /** Connected to the control plane. */
  readonly linkUp: boolean;
  readonly egress: Egress;
  readonly outbox: {
    readonly coarsened: number;
    readonly pending: number;
    readonly dropped: number;
    readonly produced: number;
  };
  readonly connections: number;
  readonly labels: readonly LabelFigures[];
  readonly restraints: readonly RestraintFigures[];
  readonly supervisor: {
    readonly rssBytes: number;
    readonly cpuUserSeconds: number;
    readonly cpuSystemSeconds: number;
  };
}

type Rendered = readonly Family[];

/** All metrics of a host in the Prometheus text format 0.0.4. Pure. */
export function renderMetrics(host: HostSnapshot, agent: AgentFigures): string {
  const families = [
    ...tritonFamilies(versions(host.arms)),
    ...armFamilies(host.arms),
    ...processFamilies(host, agent),
    ...agentFamilies(host, agent),
    ...labelFamilies(agent.labels),
    ...restraintFamilies(agent.restraints),
  ];
  return families.map(String).join('');
}

/** Triton counts by model and version and knows no arms. */
function versions(arms: readonly ArmSnapshot[]): Map<string, ArmSnapshot[]> {
  const grouped = new Map<string, ArmSnapshot[]>();
  for (const arm of arms) {
    const key = `${arm.deployment}\n${arm.version}`;
    grouped.set(key, [...(grouped.get(key) ?? []), arm]);
  }
  return grouped;
}

interface TritonMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly of: (arm: ArmSnapshot) => number;
}

/** Names, labels and units of Triton's metrics, so that its dashboards work. */
const TRITON: readonly TritonMetric[] = [
  counter('nv_inference_request_success', 'Successful inference requests', (a) => a.success.count),
  counter('nv_inference_request_failure', 'Failed inference requests', (a) => a.fail.count),
  counter('nv_inference_count', 'Inferences performed, each row one', (a) => a.inferences),
  counter('nv_inference_exec_count', 'Model executions', (a) => a.executions),
  duration('nv_inference_request_duration_us', 'Cumulative request duration', (a) => a.success),
  duration('nv_inference_queue_duration_us', 'Cumulative queuing duration', (a) => a.queue),
  duration(
    'nv_inference_compute_input_duration_us',
    'Cumulative input duration',
    (a) => a.computeInput,
  ),
  duration(
    'nv_inference_compute_infer_duration_us',
    'Cumulative infer duration',
    (a) => a.computeInfer,
  ),
  duration(
    'nv_inference_compute_output_duration_us',
    'Cumulative output duration',
    (a) => a.computeOutput,
  ),
  {
    name: 'nv_inference_pending_request_count',
    type: 'gauge',
    help: 'Requests waiting to be executed',
    of: (a) => a.pending,
  },
];

function counter(name: string, help: string, of: TritonMetric['of']): TritonMetric {
  return { name, type: 'counter', help, of };
}

function duration(name: string, help: string, of: (arm: ArmSnapshot) => Timing): TritonMetric {
  return counter(name, `${help} in microseconds`, (arm) => Math.round(of(arm).ms * 1000));
}

function tritonFamilies(grouped: ReadonlyMap<string, readonly ArmSnapshot[]>): Rendered {
  return TRITON.map(({ name, type, help, of }) => {
    const family = new Family(name, type, help);
    for (const [{ deployment, version }, ...rest] of grouped.values()) {
      const arms = grouped.get(`${deployment}\n${version}`) ?? rest;
      const sum = arms.reduce((total, arm) => total + of(arm), 0);
      family.add({ model: deployment, version: String(version) }, sum);
    }
    return family;
  });
}

function armFamilies(arms: readonly ArmSnapshot[]): Rendered {
  const latency = new Family(
    'driftline_request_duration_seconds',
    'histogram',
    'Answered requests, first byte seen to answer written',
  );
  const rows = new Family('driftline_rows_total', 'counter', 'Rows answered');
  const errors = new Family(
    'driftline_request_errors_total',
    'counter',
    'Requests that failed, by error code',
  );
  const batches = new Family(
    'driftline_batch_rows',
    'histogram',
    'Rows of one execution of the model',
  );
  for (const arm of arms) {
    const labels = labelsOf(arm);
    const { count, sumUs } = arm.latency;
    const buckets = cumulativeLatency(arm.latency).map(([us, n]) => [us / 1e6, n] as const);
    latency.addHistogram(labels, buckets, sumUs / 1e6, count);
    rows.add(labels, arm.inferences);
    for (const [code, failed] of Object.entries(arm.failures)) {
      errors.add({ ...labels, code }, failed);
    }
    addBatches(batches, arm);
  }
  return [latency, rows, errors, batches];
}

const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

function addBatches(family: Family, arm: ArmSnapshot): void {
  const upTo = (bound: number) =>
    arm.batches.reduce((sum, { size, executions }) => sum + (size <= bound ? executions : 0), 0);
  const buckets = BATCH_BOUNDS.map((bound) => [bound, upTo(bound)] as const);
  const rows = arm.batches.reduce((sum, { size, executions }) => sum + size * executions, 0);
  family.addHistogram(labelsOf(arm), buckets, rows, upTo(Number.POSITIVE_INFINITY));
}

function labelsOf({ deployment, version, arm }: ArmSnapshot): Record<string, string> {
  return { model: deployment, version: String(version), arm };
}

function processFamilies(host: HostSnapshot, agent: AgentFigures): Rendered {
  const memory = new Family(
    'driftline_process_resident_memory_bytes',
    'gauge',
    'Memory of each process of the agent',
  );
  const cpu = new Family(
    'driftline_process_cpu_seconds_total',
    'counter',
    'CPU time of each process of the agent',
  );
  const all = [
    { process: 'supervisor', ...agent.supervisor },
    ...host.processes.map((each) => ({ process: `engine-${each.ordinal}`, ...each })),
  ];
  for (const { process, rssBytes, cpuUserSeconds, cpuSystemSeconds } of all) {
    memory.add({ process }, rssBytes);
    cpu.add({ process, mode: 'user' }, cpuUserSeconds);
    cpu.add({ process, mode: 'system' }, cpuSystemSeconds);
  }
  return [memory, cpu, ...spanFamilies(host)];
}

/** Nothing where no requests are traced. */
function spanFamilies({ processes }: HostSnapshot): Rendered {
  const spans = new Family(
    'driftline_trace_spans_total',
    'counter',
    'Spans of requests, by whether the endpoint for traces took them; of engines that live',
  );
  for (const { ordinal, spans: counts } of processes) {
    if (counts === undefined) continue;
    const process = `engine-${ordinal}`;
    spans.add({ process, outcome: 'exported' }, counts.exported);
    spans.add({ process, outcome: 'dropped' }, counts.dropped);
  }
  return processes.some((each) => each.spans !== undefined) ? [spans] : [];
}

/** Nothing where no row has been answered that could have a label. */
function labelFamilies(figures: readonly LabelFigures[]): Rendered {
  const rows = new Family('driftline_decisions', 'gauge', 'Answered rows that wait for labels');
  const bytes = new Family('driftline_decisions_bytes', 'gauge', 'Disk that these rows take');
  const evicted = new Family(
    'driftline_decisions_evicted_total',
    'counter',
    'Answered rows forgotten to stay within bounds',
  );
  const labels = new Family('driftline_labels_total', 'counter', 'Labels by what became of them');
  const drifts = new Family(
    'driftline_concept_drift_detections_total',
    'counter',
    'Changes of the error rate that detectors have found',
  );
  for (const { deployment: model, ...figure } of figures) {
    rows.add({ model }, figure.rows);
    bytes.add({ model }, figure.bytes);
    evicted.add({ model }, figure.evicted);
    for (const [result, n] of Object.entries(figure.labels)) labels.add({ model, result }, n);
    for (const [detector, n] of Object.entries(figure.drifts)) drifts.add({ model, detector }, n);
  }
  return [rows, bytes, evicted, labels, drifts];
}

/** Nothing where no deployment has a guard or a lease. */
function restraintFamilies(figures: readonly RestraintFigures[]): Rendered {
  const out = new Family('driftline_guard_kept_out', 'gauge', 'Versions that a guard took back');
  const lease = new Family('driftline_lease_held', 'gauge', '1 while the lease holds, 0 past it');
  for (const { deployment: model, keptOut, leaseHeld } of figures) {
    out.add({ model }, keptOut);
    if (leaseHeld !== null) lease.add({ model }, Number(leaseHeld));
  }
  return [out, lease];
}

function agentFamilies({ engines }: HostSnapshot, agent: AgentFigures): Rendered {
  const { outbox } = agent;
  const sent = new Family('driftline_egress_bytes_total', 'counter', 'Bytes that left the host');
  for (const [kind, { bytes }] of Object.entries(agent.egress)) sent.add({ kind }, bytes);
  const one = (name: string, type: 'counter' | 'gauge', help: string, value: number) =>
    new Family(name, type, help).add({}, value);
  return [
    one('driftline_engines', 'gauge', 'Engine processes that serve', engines.alive),
    one('driftline_engines_wanted', 'gauge', 'Engine processes that should', engines.wanted),
    one(
      'driftline_engines_unanswered',
      'gauge',
      'Engines whose last known counters stand in, because they did not answer this scrape',
      engines.unanswered,
    ),
    one('driftline_engine_deaths_total', 'counter', 'Engines that died', engines.deaths),
    one('driftline_connections', 'gauge', 'Connections of clients', agent.connections),
    one('driftline_outbox_pending', 'gauge', 'Windows not acknowledged yet', outbox.pending),
    one('driftline_windows_total', 'counter', 'Windows made', outbox.produced),
    one(
      'driftline_outbox_coarsened_total',
      'counter',
      'Windows that became parts of coarser ones because the outbox was full',
      outbox.coarsened,
    ),
    one(
      'driftline_outbox_dropped_total',
      'counter',
      'Windows dropped because the outbox was full',
      outbox.dropped,
    ),
    sent,
    one('driftline_link_up', 'gauge', 'Connected to the control plane', Number(agent.linkUp)),
    one('driftline_generation', 'gauge', 'Generation accepted', agent.generation),
    one('driftline_generation_applied', 'gauge', 'Generation served', agent.appliedGeneration),
  ];
}
