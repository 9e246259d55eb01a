import { readFile } from 'node:fs/promises';
import { MAX_BATCH_ROWS, MAX_PINNED, MAX_QUEUE_REQUESTS } from '../../protocol/limits.ts';
import {
  mergeServing,
  type Provider,
  providerSchema,
  type Serving,
  servingSchema,
} from '../../protocol/serving.ts';
import { describe } from '../../protocol/wire.ts';
import { CliError } from './error.ts';
import type { ServingFlags } from './serving-flags.ts';
import { parseInteger } from './values.ts';

/** Null when no flag is there. Single flags win over the file. Throws `CliError` 'usage'. */
export async function servingFrom(flags: ServingFlags): Promise<Serving | null> {
  const file = flags.serving === undefined ? {} : await readServing(flags.serving);
  const single = singleFlags(flags);
  const given = flags.serving !== undefined || Object.keys(single).length > 0;
  return given ? mergeServing(file, single) : null;
}

/** What was set before, with the flags' values in their places. */
export function mergeFlags(present: Serving, given: Serving | null): Serving {
  return given === null ? present : mergeServing(present, given);
}

function singleFlags(flags: ServingFlags): Serving {
  const integer = (flag: string, text: string | undefined, low: number, high: number) =>
    text === undefined ? undefined : parseInteger(flag, text, low, high);
  const batching = present({
    maxBatchSize: integer('--max-batch-size', flags.maxBatchSize, 1, MAX_BATCH_ROWS),
    maxQueueDelayUs: integer('--max-queue-delay-us', flags.maxQueueDelayUs, 0, 1_000_000),
    maxQueueRequests: integer('--max-queue', flags.maxQueue, 1, MAX_QUEUE_REQUESTS),
    timeoutUs: integer('--timeout-us', flags.timeoutUs, 1, 3_600_000_000),
  });
  return present({
    batching: Object.keys(batching).length === 0 ? undefined : batching,
    placement: placementOf(flags.placement),
    workers: integer('--workers', flags.workers, 1, 64),
    intraOpThreads: integer('--intra-op-threads', flags.intraOpThreads, 1, 64),
    providers: providersOf(flags.providers),
    engines: integer('--engines', flags.engines, 1, 64),
  });
}

/** The fields that are given. */
function present<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function placementOf(text: string | undefined): Serving['placement'] {
  if (text === undefined || text === 'auto' || text === 'inline' || text === 'worker') return text;
  throw new CliError('usage', `--placement is "${text}"; it must be auto, inline or worker`);
}

function providersOf(text: string | undefined): Provider[] | undefined {
  if (text === undefined) return undefined;
  const known = providerSchema.options;
  const providers = text.split(',').map((name) => {
    const provider = known.find((each) => each === name.trim());
    if (provider === undefined) {
      const told = `--providers has "${name}"; it must be a list of ${known.join(', ')}`;
      throw new CliError('usage', told);
    }
    return provider;
  });
  if (new Set(providers).size < providers.length) {
    throw new CliError('usage', `--providers is "${text}"; each provider stands in it once`);
  }
  return providers;
}

async function readServing(path: string): Promise<Serving> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('usage', `--serving ${path}: ${why}`, { cause });
  }
  const parsed = servingSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `--serving ${path}: ${describe(parsed.error, value)}`);
}

/** `1,2` or `mortgage@1,mortgage@2`. */
export function parsePins(flag: string, text: string): number[] {
  const pins = text
    .split(',')
    .map((each) => parseInteger(flag, each.trim().replace(/^[^@]+@/, ''), 1, 1_000_000_000));
  if (pins.length > MAX_PINNED) {
    const told = `${flag} names ${pins.length} versions; at most ${MAX_PINNED} stay loaded beside the stable one`;
    throw new CliError('usage', told);
  }
  return pins;
}
