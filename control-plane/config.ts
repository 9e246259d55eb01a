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
  /** Log the first admin token as JSON instead of printing it for a person. */
  'print-token': z.boolean(),
});

export interface ControlConfig {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly hostNames: readonly string[];
  readonly keepWindowsMs?: number;
}

export const DEFAULT_PORT = 7700;

export const USAGE =
  'usage: control-plane [--data DIR] [--host ADDRESS] [--port N] [--allow-host NAME]... [--keep-windows DAYS] [--print-token]';

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
    printToken: parsed.data['print-token'],
  };
}
