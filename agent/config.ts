import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Labels, labelsSchema, nameSchema } from '../protocol/ids.ts';
import { MAX_INFER_BODY_BYTES } from '../protocol/limits.ts';
import { describe } from '../protocol/wire.ts';
import { AgentError, messageOf } from './error.ts';
import { isHttp, isPlainAndRemote } from './link/plain-url.ts';
import { DEFAULT_BOUNDS, type DownloadBounds } from './store/download-limits.ts';
import { DEFAULT_ROOM, type RoomLimits } from './store/room.ts';

export interface AgentConfig {
  readonly controlUrl: string | null;
  readonly joinToken: string | null;
  /** PEM of the only authority that may vouch for the control plane; null: those that Node trusts. */
  readonly ca: string | null;
  readonly dataFolder: string;
  readonly name: string | null;
  readonly labels: Labels;
  readonly host: string;
  readonly port: number;
  /** Null: not served. */
  readonly grpcPort: number | null;
  readonly metricsPort: number | null;
  /** Whether clients may load and unload what the control plane has given this host. */
  readonly repositoryControl: boolean;
  /** Where features are fetched, by the names that deployments use. */
  readonly featureServers: ReadonlyMap<string, string>;
  /** Where spans of requests go; null: nothing is traced. */
  readonly traces: { readonly url: string; readonly sample: number } | null;
  /** Of the whole device for an hour, in whatever currency the operator counts; null: cost is not counted. */
  readonly devicePrice: number | null;
  readonly engines: number;
  readonly cores: number;
  /** An engine that has not answered for this long is replaced; null: never. */
  readonly hangTimeoutMs: number | null;
  readonly maxBodyBytes: number;
  /** What models may take of disk and line. */
  readonly artifacts: RoomLimits & DownloadBounds;
  readonly logLevel: string;
}

/** An inline model may block its engine for a while, and a worker's call may be a long one: that is no hang. */
const DEFAULT_HANG_S = 60;
/** Less than that is a pause of a busy machine. */
const MIN_HANG_S = 5;
const MAX_HANG_S = 86_400;

const [KIB, MIB, GIB] = [2 ** 10, 2 ** 20, 2 ** 30];

export const AGENT_USAGE = `Usage: driftline agent --control URL --join TOKEN [options]

  --control URL     control plane, for example http://127.0.0.1:7700
  --join TOKEN      single-use token, needed only for the first start (or env DRIFTLINE_JOIN)
  --ca FILE         PEM of the authority behind the control plane's certificate (or env DRIFTLINE_CA)
  --allow-insecure-link  speak plain http to a control plane that is not on this host: whoever is on
                    the way reads the join token and everything else
  --data DIR        identity, models and unsent windows        (default .driftline/agent)
  --name NAME       how people call this host                  (default its hostname)
  --label KEY=VALUE a label; may be given several times
  --host ADDRESS    where to serve                             (default 127.0.0.1)
  --port PORT       HTTP port, 0 for any free one              (default 8000)
  --grpc-port PORT  gRPC port, 0 for any free one, or off      (default 8001)
  --metrics-port PORT  Prometheus metrics, 0 or off as above   (default 8002)
  --repository-control  let clients load and unload what the control plane has given this host
  --feature-server NAME=URL  a Feast feature server that deployments may name; several times
  --traces URL      OTLP/HTTP endpoint for spans, for example http://127.0.0.1:4318/v1/traces
  --trace-sample RATE  share of requests without a traceparent that are traced (default 0)
  --device-price PRICE  of this host per hour, for cost per inference (or env DRIFTLINE_DEVICE_PRICE)
  --engines N       engine processes                           (default one per core, at most 4)
  --engine-hang-timeout SECONDS  replace an engine that has not answered for so long, or off (default ${DEFAULT_HANG_S})
  --max-body BYTES  largest request body                       (default ${MAX_INFER_BODY_BYTES})
  --artifact-quota GIB  of models on this host, in use or not  (default ${DEFAULT_ROOM.quotaBytes / GIB})
  --disk-reserve MIB  that downloads leave free on the disk    (default ${DEFAULT_ROOM.reserveBytes / MIB})
  --downloads N     files that are downloaded at the same time (default ${DEFAULT_BOUNDS.concurrent})
  --download-rate KIB  a second, of all downloads together, or off  (default off)
  --log-level LEVEL debug, info, warn, error or silent         (default info)
`;

const MAX_DEFAULT_ENGINES = 4;

/** Reads the command line and the environment. Throws `AgentError` 'configuration' that names the value. */
export function readAgentConfig(argv: readonly string[], env: NodeJS.ProcessEnv): AgentConfig {
  const { values } = parse(argv);
  const labels = parseLabels(values.label ?? []);
  const cores = availableParallelism();
  if (values.name !== undefined && !nameSchema.safeParse(values.name).success) {
    throw wrong('--name', values.name, 'letters, digits, ".", "_" and "-"');
  }
  const controlUrl = values.control ?? null;
  if (controlUrl !== null && !isHttp(controlUrl)) {
    throw wrong('--control', controlUrl, 'an http or https URL');
  }
  if (controlUrl !== null && !values['allow-insecure-link'] && isPlainAndRemote(controlUrl)) {
    throw new AgentError(
      'configuration',
      `--control is "${controlUrl}": plain http leaves this host readable; give an https URL (with --ca FILE for an authority of your own), or --allow-insecure-link`,
    );
  }
  return {
    controlUrl,
    ca: caOf(values.ca ?? env.DRIFTLINE_CA),
    joinToken: values.join ?? env.DRIFTLINE_JOIN ?? null,
    dataFolder: values.data ?? '.driftline/agent',
    name: values.name ?? null,
    labels,
    host: values.host ?? '127.0.0.1',
    port: integer('--port', values.port ?? '8000', 0, 65_535),
    grpcPort: port('--grpc-port', values['grpc-port'] ?? '8001'),
    metricsPort: port('--metrics-port', values['metrics-port'] ?? '8002'),
    repositoryControl: values['repository-control'] ?? false,
    featureServers: featureServersOf(values['feature-server'] ?? []),
    traces: tracesOf(values.traces, values['trace-sample']),
    devicePrice: priceOf(values['device-price'] ?? env.DRIFTLINE_DEVICE_PRICE),
    engines: integer(
      '--engines',
      values.engines ?? String(Math.min(cores, MAX_DEFAULT_ENGINES)),
      1,
      256,
    ),
    cores,
    hangTimeoutMs: hangTimeoutOf(values['engine-hang-timeout'] ?? String(DEFAULT_HANG_S)),
    maxBodyBytes: integer(
      '--max-body',
      values['max-body'] ?? String(MAX_INFER_BODY_BYTES),
      1024,
      2 ** 31 - 1,
    ),
    artifacts: artifactsOf(values),
    logLevel: values['log-level'] ?? 'info',
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        control: { type: 'string' },
        join: { type: 'string' },
        ca: { type: 'string' },
        'allow-insecure-link': { type: 'boolean' },
        data: { type: 'string' },
        name: { type: 'string' },
        label: { type: 'string', multiple: true },
        host: { type: 'string' },
        port: { type: 'string' },
        'grpc-port': { type: 'string' },
        'metrics-port': { type: 'string' },
        'repository-control': { type: 'boolean' },
        'feature-server': { type: 'string', multiple: true },
        traces: { type: 'string' },
        'trace-sample': { type: 'string' },
        'device-price': { type: 'string' },
        engines: { type: 'string' },
        'engine-hang-timeout': { type: 'string' },
        'max-body': { type: 'string' },
        'artifact-quota': { type: 'string' },
        'disk-reserve': { type: 'string' },
        downloads: { type: 'string' },
        'download-rate': { type: 'string' },
        'log-level': { type: 'string' },
      },
    });
  } catch (cause) {
    throw new AgentError('configuration', (cause as Error).message, { cause });
  }
}

function parseLabels(entries: readonly string[]): Labels {
  const labels: Record<string, string> = {};
  for (const entry of entries) {
    const at = entry.indexOf('=');
    if (at < 1) throw wrong('--label', entry, 'KEY=VALUE');
    labels[entry.slice(0, at)] = entry.slice(at + 1);
  }
  const parsed = labelsSchema.safeParse(labels);
  if (!parsed.success) throw new AgentError('configuration', `--label: ${describe(parsed.error)}`);
  return parsed.data;
}

function caOf(file: string | undefined): string | null {
  if (file === undefined) return null;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (cause) {
    throw new AgentError('configuration', `--ca is "${file}": ${messageOf(cause)}`, { cause });
  }
  throw wrong('--ca', file, 'a file with a PEM certificate');
}

function featureServersOf(entries: readonly string[]): Map<string, string> {
  const servers = new Map<string, string>();
  for (const entry of entries) {
    const at = entry.indexOf('=');
    const [name, url] = [entry.slice(0, Math.max(at, 0)), entry.slice(at + 1)];
    if (!nameSchema.safeParse(name).success || !isHttp(url)) {
      throw wrong('--feature-server', entry, 'NAME=URL with an http or https URL');
    }
    if (servers.has(name))
      throw wrong('--feature-server', entry, `another name; "${name}" is taken`);
    servers.set(name, url);
  }
  return servers;
}

function tracesOf(url: string | undefined, rate: string | undefined): AgentConfig['traces'] {
  const sample = Number(rate ?? '0');
  if (!/^(0|1|0?\.\d+|[01]\.\d+)$/.test(rate ?? '0') || sample > 1) {
    throw wrong('--trace-sample', rate ?? '', 'a number from 0 to 1');
  }
  if (url === undefined) {
    if (rate !== undefined) throw wrong('--trace-sample', rate, 'given beside --traces URL');
    return null;
  }
  if (!isHttp(url)) throw wrong('--traces', url, 'an http or https URL');
  return { url, sample };
}

/** Dearer hosts than that are rented by nobody; the bound keeps sums of millionths exact. */
const MAX_DEVICE_PRICE = 1_000_000;

function priceOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const price = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || price > MAX_DEVICE_PRICE) {
    throw wrong('--device-price', text, `a price per hour from 0 to ${MAX_DEVICE_PRICE}`);
  }
  return price;
}

function hangTimeoutOf(text: string): number | null {
  if (text === 'off') return null;
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds < MIN_HANG_S || seconds > MAX_HANG_S) {
    const bounds = `${MIN_HANG_S} to ${MAX_HANG_S}`;
    throw wrong('--engine-hang-timeout', text, `whole seconds from ${bounds}, or off`);
  }
  return 1000 * seconds;
}

/** A model of 2 GiB must fit beside the one that it replaces. */
const MIN_QUOTA_GIB = 1;
const MAX_QUOTA_GIB = 2 ** 20;
const MAX_RESERVE_MIB = 2 ** 30;
const MAX_DOWNLOADS = 16;
/** Slower, the server's patience ends before the next bytes are read. */
const MIN_RATE_KIB = 64;
const MAX_RATE_KIB = 2 ** 30;

function artifactsOf(values: Readonly<Record<string, unknown>>): AgentConfig['artifacts'] {
  const whole = (flag: string, byDefault: number, low: number, high: number) =>
    integer(`--${flag}`, String(values[flag] ?? byDefault), low, high);
  const quota = DEFAULT_ROOM.quotaBytes / GIB;
  const reserve = DEFAULT_ROOM.reserveBytes / MIB;
  const isPaced = (values['download-rate'] ?? 'off') !== 'off';
  return {
    quotaBytes: GIB * whole('artifact-quota', quota, MIN_QUOTA_GIB, MAX_QUOTA_GIB),
    reserveBytes: MIB * whole('disk-reserve', reserve, 0, MAX_RESERVE_MIB),
    concurrent: whole('downloads', DEFAULT_BOUNDS.concurrent, 1, MAX_DOWNLOADS),
    bytesPerSecond: isPaced ? KIB * whole('download-rate', 0, MIN_RATE_KIB, MAX_RATE_KIB) : null,
  };
}

function port(flag: string, text: string): number | null {
  return text === 'off' ? null : integer(flag, text, 0, 65_535);
}

function integer(flag: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high) {
    throw wrong(flag, text, `an integer from ${low} to ${high}`);
  }
  return value;
}

function wrong(flag: string, value: string, expected: string): AgentError {
  return new AgentError('configuration', `${flag} is "${value}"; it must be ${expected}`);
}
