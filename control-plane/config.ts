import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { describe } from '../protocol/wire.ts';

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
}

export const DEFAULT_PORT = 7700;

export const USAGE =
  'usage: control-plane [--data DIR] [--host ADDRESS] [--port N] [--allow-host NAME]... [--keep-windows DAYS] [--allow-network CIDR]... [--public-url URL] [--print-token]';

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
      'print-token': { type: 'boolean', default: false },
    },
  });
  const parsed = configSchema.safeParse(values);
  if (!parsed.success) throw new Error(describe(parsed.error));
  const { data, host, port } = parsed.data;
  return {
    dataDir: resolve(data),
    host,
    port,
    hostNames: parsed.data['allow-host'],
    keepWindowsMs: parsed.data['keep-windows'] * 86_400_000,
    allowNetworks: parsed.data['allow-network'],
    ...(parsed.data['public-url'] === undefined
      ? {}
      : { publicUrl: parsed.data['public-url'].replace(/\/+$/, '') }),
    printToken: parsed.data['print-token'],
  };
}
