import { readFile } from 'node:fs/promises';
import { type Monitoring, monitoringSchema } from '../../protocol/monitoring.ts';
import { describe } from '../../protocol/wire.ts';
import { CliError } from './error.ts';

/** Reads what `--monitoring` names. Throws `CliError` 'usage'. */
export async function monitoringFrom(path: string): Promise<Monitoring> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('usage', `--monitoring ${path}: ${why}`, { cause });
  }
  const parsed = monitoringSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `--monitoring ${path}: ${describe(parsed.error, value)}`);
}
