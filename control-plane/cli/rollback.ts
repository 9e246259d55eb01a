import type { Confirmations, RollbackResult } from '../http/services.ts';
import type { Context } from './context.ts';
import { table } from './terminal.ts';
import { parseVersionNumber, showMs } from './values.ts';

export interface RollbackOptions {
  readonly to?: string;
  readonly reason: string;
}

/** An agent that is linked confirms in well under a second; one that has not by now is in trouble. */
const CONFIRM_MS = 10_000;

/**
 * Takes a deployment back and says who has confirmed, and after how long. Returns the exit code: 1
 * when a connected agent did not confirm. Agents that are away go back as soon as they are linked.
 */
export async function rollback(
  { client, terminal }: Context,
  name: string,
  options: RollbackOptions,
): Promise<number> {
  const began = performance.now();
  const to = options.to === undefined ? undefined : parseVersionNumber('--to', options.to);
  const path = `/api/v1/deployments/${encodeURIComponent(name)}`;
  const { reason } = options;
  const asked = await client.post<RollbackResult>(`${path}/rollback`, { to, reason });
  const { generation } = asked;
  terminal.say(`${terminal.paint('bold', name)}: version ${asked.from} -> ${asked.to}`);
  const query = `generation=${generation}&waitMs=${CONFIRM_MS}`;
  const { agents } = await client.get<Confirmations>(`${path}/confirmations?${query}`);
  const totalMs = Math.round(performance.now() - began);

  const away = agents.filter((agent) => !agent.connected && agent.confirmedAfterMs === null);
  const late = agents.filter((agent) => agent.connected && agent.confirmedAfterMs === null);
  const ok = late.length === 0;
  terminal.result({ ok, ...asked, totalMs, agents });
  const rows = agents.map(({ name: agent, connected, confirmedAfterMs: afterMs }) => {
    if (afterMs !== null) return [`  ${agent}`, terminal.paint('green', showMs(afterMs))];
    if (!connected) return [`  ${agent}`, terminal.paint('yellow', 'not connected')];
    return [`  ${agent}`, terminal.paint('red', `did not confirm in ${CONFIRM_MS / 1000} s`)];
  });
  if (rows.length > 0) terminal.say(table(rows));
  const done = agents.length - away.length - late.length;
  terminal.say(`${done} of ${agents.length} agents answer with ${asked.to}, in ${showMs(totalMs)}`);
  if (away.length > 0) {
    const names = away.map((agent) => agent.name).join(', ');
    terminal.say(`not reachable, will go back when they are linked again: ${names}`);
  }
  return ok ? 0 : 1;
}
