import type { TuneResult } from '../http/tuning.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { sayTuning } from './tuning-table.ts';

export interface TuneFlags {
  readonly agent?: string;
  readonly apply?: boolean;
  readonly dryRun?: boolean;
}

const TICK_MS = 500;

/** Has an agent measure a deployment, and says what came of it. */
export async function tune(
  { client, terminal }: Context,
  name: string,
  { agent, apply = false, dryRun = false }: TuneFlags,
): Promise<void> {
  if (apply && dryRun) {
    throw new CliError('usage', '--apply and --dry-run contradict each other: give one of them');
  }
  const path = `/api/v1/deployments/${encodeURIComponent(name)}/tune`;
  const start = performance.now();
  const tick = () => {
    const seconds = Math.round((performance.now() - start) / 1000);
    terminal.progress(`measuring "${name}" beside the engines, about 20 s: ${seconds} s`);
  };
  tick();
  const ticking = setInterval(tick, TICK_MS);
  const mode = apply ? 'all' : dryRun ? 'none' : 'unset';
  let result: TuneResult;
  try {
    result = await client.post<TuneResult>(path, { agent, apply: mode });
  } finally {
    clearInterval(ticking);
    terminal.progressDone();
  }
  terminal.result(result);
  sayTuning(terminal, result.tuning, result.agentName);
  const said = {
    all: 'applied: it replaces what was set before',
    unset: 'applied where nothing was set by hand',
    none: 'not applied (--dry-run)',
  };
  terminal.say(`${said[mode]}; driftline serving ${name} shows what is in force`);
}
