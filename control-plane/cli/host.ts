import { writeFile } from 'node:fs/promises';
import type { LogLevel } from '../../protocol/command.ts';
import type { Diagnostics } from '../../protocol/diagnostics.ts';
import type { AgentView } from '../http/agents.ts';
import type { DecisionView, Drained, LogLevelSet, Restarted } from '../http/hosts.ts';
import { findAgent, pathOf, sayAgent } from './agents.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { table } from './terminal.ts';
import { parseDuration, parseInteger, showBytes, showMs, showTime } from './values.ts';

/** `driftline agents …` that a host does at once, and `driftline decisions show`. */

export async function hostDrain(context: Context, name: string): Promise<void> {
  const { client, terminal } = context;
  const { id } = await findAgent(context, name);
  const drained = await client.post<Drained>(`${pathOf(id)}/drain`);
  terminal.result(drained);
  const left = drained.inFlight === 0 ? 'none in flight' : `${drained.inFlight} still in flight`;
  terminal.say(`${terminal.paint('bold', name)} refuses new requests; ${left}`);
  terminal.say(terminal.paint('dim', `until "driftline agents undrain ${name}", or it restarts`));
}

export async function hostUndrain(context: Context, name: string): Promise<void> {
  const { client, terminal } = context;
  const { id } = await findAgent(context, name);
  terminal.result(await client.post<Drained>(`${pathOf(id)}/undrain`));
  terminal.say(`${terminal.paint('bold', name)} takes requests`);
}

export async function hostRestartEngines(context: Context, name: string): Promise<void> {
  const { client, terminal } = context;
  const { id } = await findAgent(context, name);
  const restarted = await client.post<Restarted>(`${pathOf(id)}/restart-engines`);
  terminal.result(restarted);
  terminal.say(`${terminal.paint('bold', name)}: ${restarted.restarted} engines are new`);
}

export async function hostLogLevel(
  context: Context,
  name: string,
  level: string,
  duration: string,
): Promise<void> {
  const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
  if (!levels.some((known) => known === level)) {
    throw new CliError('usage', `the level is "${level}"; it must be ${levels.join(', ')}`);
  }
  const forMs = parseDuration('--for', duration);
  const { client, terminal } = context;
  const { id } = await findAgent(context, name);
  const set = await client.post<LogLevelSet>(`${pathOf(id)}/log-level`, { level, forMs });
  terminal.result(set);
  terminal.say(`${terminal.paint('bold', name)} logs ${set.level} until ${showTime(set.until)}`);
}

export async function hostDiagnostics(
  context: Context,
  name: string,
  out: string | undefined,
): Promise<void> {
  const { client, terminal } = context;
  const { id } = await findAgent(context, name);
  const told = await client.post<Diagnostics>(`${pathOf(id)}/diagnostics`);
  terminal.result(told);
  if (out !== undefined) {
    await writeFile(out, `${JSON.stringify(told, null, 2)}\n`);
    terminal.say(`written to ${out}`);
    return;
  }
  const { engines, desired, outbox, memory } = told;
  const sent = Object.entries(told.egress).map(
    ([kind, { bytes }]) => `${kind} ${showBytes(bytes)}`,
  );
  terminal.say(
    table([
      ['version', `${told.version}, ${told.runtime}, up ${showMs(told.uptimeMs)}`],
      ['traffic', told.draining ? terminal.paint('yellow', 'drained') : 'taken'],
      ['generation', `accepted ${desired.observed}, served ${desired.applied}`],
      ['engines', `${engines.alive} of ${engines.wanted}, ${engines.deaths} died`],
      ['connections', String(engines.connections)],
      ['memory', `${showBytes(memory.rssBytes)} beside the engines`],
      ['outbox', `${outbox.pending} waiting, ${outbox.dropped} dropped`],
      ['sent', sent.join(', ') || 'nothing'],
    ]),
  );
  for (const line of told.log) terminal.say(terminal.paint('dim', line));
}

export async function hostMove(
  context: Context,
  name: string,
  jurisdiction: string | undefined,
): Promise<void> {
  const { id } = await findAgent(context, name);
  const body = { jurisdiction: jurisdiction ?? null };
  const agent = await context.client.put<AgentView>(`${pathOf(id)}/jurisdiction`, body);
  context.terminal.result(agent);
  sayAgent(context.terminal, agent);
}

export async function decisionShow(
  { client, terminal }: Context,
  decision: string,
  options: { readonly deployment: string; readonly row: string },
): Promise<void> {
  const row = parseInteger('--row', options.row, 0, 1_000_000_000);
  const query = new URLSearchParams({ deployment: options.deployment, row: String(row) });
  const path = `/api/v1/decisions/${encodeURIComponent(decision)}?${query}`;
  const found = await client.get<DecisionView>(path);
  terminal.result(found);
  const { record } = found;
  const groups = Object.entries(record.groups).map(([key, value]) => `${key}=${value}`);
  terminal.say(
    table([
      ['decided by', `${record.manifest}, ${record.arm} arm, on ${found.agent}`],
      ['answered', showTime(record.answeredAt)],
      ['prediction', `${record.prediction ?? 'no number'}${record.positive ? ', positive' : ''}`],
      ['groups', groups.join(', ') || 'none'],
      ['label', record.label === null ? 'none yet' : String(record.label)],
    ]),
  );
}
