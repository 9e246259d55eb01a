import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Jurisdiction, jurisdictionSchema } from '../protocol/residency.ts';
import { MIN_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../protocol/version.ts';
import { describe } from '../protocol/wire.ts';
import { DEFAULT_MAX_DOWNLOADS } from './http/download-slots.ts';
import type { AdmissionPolicy } from './link/admission.ts';
import { type AdmissionRate, DEFAULT_ADMISSION_RATE } from './link/admission-bucket.ts';

/** The only place where the control plane reads its command line. */

const configSchema = z.object({
  /** Database, blobs and the signing key. */
  data: z.string().min(1),
  /** Address to bind: loopback unless told otherwise. */
  host: z.string().min(1),
  /** 0: any free port. */
  port: z.coerce.number().int().min(0).max(65_535),
  /** Names that clients may use for this host, besides `localhost` and IP addresses. */
  'allow-host': z.array(z.string().min(1).max(255)),
  /** Days for which merged windows are kept. */
  'keep-windows': z.coerce.number().min(0.01).max(3650),
  /** Networks that alerts may go to although they are not public, as 10.1.0.0/16. */
  'allow-network': z.array(z.cidrv4().or(z.cidrv6())),
  /** Where people reach the control plane: alerts link there. */
  'public-url': z.url({ protocol: /^https?$/ }).optional(),
  /** PEM files of a certificate (with its chain) and its key: TLS is served directly. */
  'tls-cert': z.string().min(1).optional(),
  'tls-key': z.string().min(1).optional(),
  /** Hosts that join wait for an operator, whatever their token says. */
  'require-approval': z.boolean(),
  /** Oldest wire of agents that is spoken. */
  'min-agent-protocol': z.coerce.number().int().min(MIN_PROTOCOL_VERSION).max(PROTOCOL_VERSION),
  /** Links a second that are let in; hosts beyond it are told when to come back. */
  'links-per-second': z.coerce.number().min(1).max(100_000),
  /** Links come from a proxy's address, and are not counted by address. */
  'behind-proxy': z.boolean(),
  /** Downloads of models at the same time, of all hosts together. */
  'max-downloads': z.coerce.number().int().min(1).max(10_000),
  /** Where this control plane is: decisions of deployments that are restricted to it may be fetched here. */
  jurisdiction: jurisdictionSchema.optional(),
  /** Log the first admin token as JSON instead of printing it for a person. */
  'print-token': z.boolean(),
});

export interface ControlConfig {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly hostNames: readonly string[];
  readonly keepWindowsMs?: number;
  readonly allowNetworks?: readonly string[];
  /** Default: the address that is listened on. */
  readonly publicUrl?: string | undefined;
  /** Default: plain http, for loopback or behind a proxy that ends TLS. */
  readonly tls?: TlsFiles | undefined;
  readonly admission?: AdmissionPolicy;
  readonly admissionRate?: AdmissionRate;
  readonly behindProxy?: boolean;
  readonly maxDownloads?: number;
  /** Default: nobody has said, so that it is within none. */
  readonly jurisdiction?: Jurisdiction | undefined;
}

/** Paths, and not their contents: a renewed certificate is read again at SIGHUP. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export const DEFAULT_PORT = 7700;

export const USAGE =
  'usage: control-plane [--data DIR] [--host ADDRESS] [--port N] [--allow-host NAME]... [--keep-windows DAYS] [--allow-network CIDR]... [--public-url URL] [--tls-cert FILE --tls-key FILE] [--require-approval] [--min-agent-protocol N] [--links-per-second N] [--behind-proxy] [--max-downloads N] [--jurisdiction NAME] [--print-token]';

/** Parses the command line; throws an `Error` whose message says what is wrong with it. */
export function parseControlConfig(
  argv: readonly string[],
): ControlConfig & { printToken: boolean } {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      data: { type: 'string', default: '.driftline/control' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: String(DEFAULT_PORT) },
      'allow-host': { type: 'string', multiple: true, default: [] },
      'keep-windows': { type: 'string', default: '14' },
      'allow-network': { type: 'string', multiple: true, default: [] },
      'public-url': { type: 'string' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'require-approval': { type: 'boolean', default: false },
      'min-agent-protocol': { type: 'string', default: String(MIN_PROTOCOL_VERSION) },
      'links-per-second': { type: 'string', default: String(DEFAULT_ADMISSION_RATE.perSecond) },
      'behind-proxy': { type: 'boolean', default: false },
      'max-downloads': { type: 'string', default: String(DEFAULT_MAX_DOWNLOADS) },
      jurisdiction: { type: 'string' },
      'print-token': { type: 'boolean', default: false },
    },
  });
  const parsed = configSchema.safeParse(values);
  if (!parsed.success) throw new Error(describe(parsed.error));
  const { data, host, port, 'links-per-second': rate } = parsed.data;
  const tls = tlsOf(parsed.data['tls-cert'], parsed.data['tls-key']);
  return {
    ...(tls === null ? {} : { tls }),
    admission: {
      requireApproval: parsed.data['require-approval'],
      minProtocol: parsed.data['min-agent-protocol'],
    },
    // A second's worth may come at once.
    admissionRate: { perSecond: rate, burst: Math.ceil(rate) },
    behindProxy: parsed.data['behind-proxy'],
    dataDir: resolve(data),
    host,
    port,
    hostNames: parsed.data['allow-host'],
    keepWindowsMs: parsed.data['keep-windows'] * 86_400_000,
    allowNetworks: parsed.data['allow-network'],
    maxDownloads: parsed.data['max-downloads'],
    ...(parsed.data['public-url'] === undefined
      ? {}
      : { publicUrl: parsed.data['public-url'].replace(/\/+$/, '') }),
    jurisdiction: parsed.data.jurisdiction,
    printToken: parsed.data['print-token'],
  };
}

function tlsOf(cert: string | undefined, key: string | undefined): TlsFiles | null {
  if (cert === undefined && key === undefined) return null;
  if (cert !== undefined && key !== undefined) return { cert: resolve(cert), key: resolve(key) };
  const [there, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
  throw new Error(`--tls-${there} needs --tls-${missing} beside it: TLS takes both`);
}
