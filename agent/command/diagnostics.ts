import { type Diagnostics, MAX_LOG_LINES } from '../../protocol/diagnostics.ts';
import type { AgentConfig } from '../config.ts';
import type { ServingPlan } from '../engine/messages.ts';
import type { EnginePool } from '../engine/pool/pool.ts';
import type { Egress } from '../link/egress.ts';
import type { LogTail } from '../log-tail.ts';

export interface DiagnosticsDeps {
  readonly config: AgentConfig;
  /** Of the package. */
  readonly version: string;
  readonly tail: LogTail;
  readonly pool: Pick<EnginePool, 'snapshot' | 'connections' | 'draining'>;
  readonly convergence: {
    readonly generation: number;
    readonly applied: number;
    readonly stale: boolean;
    readonly serving: ServingPlan | null;
  };
  outbox(): Diagnostics['outbox'];
  egress(): Egress;
}

/** How this host is now: bounded, without a secret and without a row. */
export async function diagnose(deps: DiagnosticsDeps): Promise<Diagnostics> {
  const { config, version, tail, pool, convergence } = deps;
  const { engines, processes } = await pool.snapshot();
  const { generation, applied, stale, serving } = convergence;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    at: Date.now(),
    version,
    runtime: `node ${process.version} ${process.platform}-${process.arch}`,
    uptimeMs: process.uptime() * 1000,
    settings: settingsOf(config),
    draining: pool.draining,
    desired: { observed: generation, applied, stale },
    deployments: (serving?.deployments ?? []).map(({ name, arms }) => ({
      name,
      versions: arms.map((arm) => arm.version),
    })),
    engines: {
      wanted: engines.wanted,
      alive: engines.alive,
      deaths: engines.deaths,
      connections: pool.connections,
      processes: processes.map(({ ordinal, pid, rssBytes }) => ({ ordinal, pid, rssBytes })),
    },
    memory: { rssBytes: rss, heapUsedBytes: heapUsed },
    outbox: deps.outbox(),
    egress: deps.egress(),
    log: tail.lines.slice(-MAX_LOG_LINES),
  };
}

/** Each setting by name: one that is new is not told until somebody has thought of what it holds. */
function settingsOf(config: AgentConfig): Diagnostics['settings'] {
  const { host, port, grpcPort, metricsPort, engines, cores, hangTimeoutMs, maxBodyBytes } = config;
  const { repositoryControl, devicePrice, logLevel, featureServers, traces, controlUrl } = config;
  return {
    ...{ host, port, grpcPort, metricsPort, engines, cores, hangTimeoutMs, maxBodyBytes },
    ...{ repositoryControl, devicePrice, logLevel },
    control: controlUrl === null ? null : originOf(controlUrl),
    featureServers: [...featureServers.keys()].join(' ').slice(0, 500),
    traces: traces === null ? null : originOf(traces.url),
    ownAuthority: config.ca !== null,
  };
}

/** User names, passwords, paths and queries of addresses may be secrets. */
function originOf(url: string): string {
  return new URL(url).origin.slice(0, 500);
}
