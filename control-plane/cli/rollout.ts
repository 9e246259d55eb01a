import type { RolloutView } from '../http/services.ts';
import type { GateSummary } from '../rollout/summary.ts';
import type { Context } from './context.ts';
import type { Colour, Terminal } from './terminal.ts';
import { showMs } from './values.ts';

export async function showRollout({ client, terminal }: Context, id: string): Promise<void> {
  const rollout = await client.get<RolloutView>(`/api/v1/rollouts/${encodeURIComponent(id)}`);
  terminal.result(rollout);
  sayRollout(terminal, rollout);
}

export async function promote({ client, terminal }: Context, id: string): Promise<void> {
  const path = `/api/v1/rollouts/${encodeURIComponent(id)}/promote`;
  const rollout = await client.post<RolloutView>(path);
  terminal.result(rollout);
  sayRollout(terminal, rollout);
}

export async function abort({ client, terminal }: Context, id: string, reason: string) {
  const path = `/api/v1/rollouts/${encodeURIComponent(id)}/abort`;
  const rollout = await client.post<RolloutView>(path, { reason });
  terminal.result(rollout);
  sayRollout(terminal, rollout);
}

const COLOURS: Readonly<Record<string, Colour>> = {
  completed: 'green',
  'rolled-back': 'red',
  'rolling-back': 'red',
  aborted: 'yellow',
  held: 'yellow',
  paused: 'yellow',
};

/** A rollout in a few lines: where it is, why, and who has reverted. */
export function sayRollout(terminal: Terminal, rollout: RolloutView): void {
  const { kind } = rollout.state;
  const { deployment, model, from, to } = rollout;
  terminal.say(`${deployment}: ${model}@${from} -> ${model}@${to}`);
  terminal.say(`  state    ${terminal.paint(COLOURS[kind] ?? 'cyan', kind)}`);
  const reason = typeof rollout.state.reason === 'string' ? rollout.state.reason : null;
  const verdict = verdictOf(rollout);
  if (reason !== null) terminal.say(`  because  ${reason}`);
  else for (const why of verdict?.reasons ?? []) terminal.say(`  gate     ${why}`);
  const evidence = verdict?.evidence ?? null;
  if (evidence !== null) {
    const { rows, psi, windows } = evidence;
    const distance = psi === null ? '' : `, prediction PSI ${psi.toFixed(3)}`;
    terminal.say(
      `  measured ${rows.candidate} rows against ${rows.stable} in ${windows} windows${distance}`,
    );
  }
  for (const { agent, afterMs } of revertedOf(rollout)) {
    const said = afterMs === null ? 'has not confirmed' : `back after ${showMs(afterMs)}`;
    terminal.say(`  ${agent} ${said}`);
  }
}

/** The same in one line, for progress. */
export function gateLine(rollout: RolloutView): string {
  const verdict = verdictOf(rollout);
  return `${rollout.state.kind}: ${verdict?.reasons.join('; ') || 'gathering evidence'}`;
}

export function verdictOf(rollout: RolloutView): GateSummary | null {
  return (rollout.state.verdict ?? null) as GateSummary | null;
}

function revertedOf(rollout: RolloutView): { agent: string; afterMs: number | null }[] {
  return (rollout.state.reverted ?? []) as { agent: string; afterMs: number | null }[];
}
