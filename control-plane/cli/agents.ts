import { nameSchema } from '../../protocol/ids.ts';
import type { AgentView } from '../http/agents.ts';
import { poll } from './await-state.ts';
import type { Context } from './context.ts';
import { downloadLines } from './downloads.ts';
import { CliError } from './error.ts';
import { type Terminal, table } from './terminal.ts';
import { parseLabels, showTime } from './values.ts';

/** A host that rotates its key closes its link, and is back within seconds. */
const BACK_MS = 30_000;

export async function agentsList({ client, terminal }: Context): Promise<void> {
  const agents = await client.list<AgentView>('/api/v1/agents');
  terminal.result(agents);
  if (agents.length === 0) terminal.say('none yet: driftline join-token');
  const rows = agents.map((agent) => [
    terminal.paint('bold', agent.name),
    stateOf(terminal, agent),
    agent.fingerprint.slice(0, 16),
    showLabels(agent),
    terminal.paint('dim', agent.id),
    downloadLines(terminal, agent.downloads).join(', '),
  ]);
  if (rows.length > 0) terminal.say(table(rows));
}

export async function agentShow(context: Context, name: string): Promise<void> {
  const agent = await findAgent(context, name);
  context.terminal.result(agent);
  sayAgent(context.terminal, agent);
}

export async function agentApprove(
  context: Context,
  name: string,
  fingerprint: string,
  jurisdiction: string | undefined,
): Promise<void> {
  const { id } = await findAgent(context, name);
  // As it may be copied from a screen: in groups, or in capitals.
  const digits = fingerprint.toLowerCase().replaceAll(/[^0-9a-f]/g, '');
  const agent = await context.client.post<AgentView>(`${pathOf(id)}/approve`, {
    fingerprint: digits,
    jurisdiction,
  });
  context.terminal.result(agent);
  sayAgent(context.terminal, agent);
}

export async function agentRevoke(context: Context, name: string, reason: string): Promise<void> {
  const { id } = await findAgent(context, name);
  const agent = await context.client.post<AgentView>(`${pathOf(id)}/revoke`, { reason });
  context.terminal.result(agent);
  sayAgent(context.terminal, agent);
}

export async function agentLabel(
  context: Context,
  name: string,
  labels: readonly string[],
): Promise<void> {
  const { id } = await findAgent(context, name);
  const agent = await context.client.put<AgentView>(
    `${pathOf(id)}/labels`,
    parseLabels('a label', labels),
  );
  context.terminal.result(agent);
  sayAgent(context.terminal, agent);
}

export async function agentRotateKey(context: Context, name: string): Promise<void> {
  const { client, terminal } = context;
  const { id } = await findAgent(context, name);
  const { fingerprint } = await client.post<{ fingerprint: string }>(`${pathOf(id)}/rotate-key`);
  const back = await poll(
    () => client.get<AgentView>(pathOf(id)),
    (agent) => agent.fingerprint === fingerprint,
    BACK_MS,
  );
  if (back === null) {
    const told = `${name} has made the key ${fingerprint}, and has not come back with it in ${BACK_MS / 1000} s: until then its old key holds`;
    throw new CliError('failed', told);
  }
  terminal.result(back);
  sayAgent(terminal, back);
}

const AGENT_ID = /^agt_[0-9a-f]{24}$/;

/** By name or id. A name that several hosts have is nobody's. */
export async function findAgent({ client }: Context, name: string): Promise<AgentView> {
  const named = nameSchema.safeParse(name).success
    ? await client.list<AgentView>(`/api/v1/agents?name=${encodeURIComponent(name)}`)
    : [];
  const byId = AGENT_ID.test(name) ? await client.find<AgentView>(pathOf(name)) : null;
  const present = named.filter(({ state }) => state !== 'revoked');
  const [agent, other] = byId === null ? present : [byId];
  if (agent === undefined) {
    throw new CliError('failed', `there is no agent "${name}": driftline agents list`);
  }
  if (other !== undefined) {
    const ids = present.map(({ id }) => id).join(', ');
    throw new CliError(
      'failed',
      `${present.length} agents are called "${name}": say which of ${ids}`,
    );
  }
  return agent;
}

export function sayAgent(terminal: Terminal, agent: AgentView): void {
  const { cores, engines, platform, runtimeVersion } = agent.capabilities;
  terminal.say(`${terminal.paint('bold', agent.name)}  ${stateOf(terminal, agent)}  ${agent.id}`);
  const rows = [
    ['fingerprint', agent.fingerprint],
    ['labels', showLabels(agent) || 'none'],
    ['jurisdiction', agent.jurisdiction ?? 'not said'],
    ['serves at', agent.serving ?? 'not serving'],
    ['runs on', `${platform}, ${runtimeVersion}, ${cores} cores, ${engines} engines`],
    ['protocol', String(agent.protocol)],
    ['generation', `accepted ${agent.observed}, served ${agent.applied}`],
    ['joined', showTime(agent.joinedAt)],
    ['last seen', agent.connected ? 'now' : showTime(agent.lastSeenAt)],
    ...downloadLines(terminal, agent.downloads).map((line) => ['downloads', line]),
  ];
  terminal.say(table(rows));
  if (agent.state !== 'pending') return;
  terminal.say('\nif its host prints this fingerprint, let it in:');
  terminal.say(`  driftline agents approve ${agent.id} ${agent.fingerprint}`);
}

function stateOf(terminal: Terminal, agent: AgentView): string {
  if (agent.state === 'revoked') return terminal.paint('red', 'revoked');
  if (agent.state === 'pending') return terminal.paint('yellow', 'waits for approval');
  if (!agent.connected) return terminal.paint('red', `away since ${showTime(agent.lastSeenAt)}`);
  if (agent.draining) return terminal.paint('yellow', 'drained');
  return agent.stale ? terminal.paint('red', 'STALE') : terminal.paint('green', 'connected');
}

function showLabels({ labels }: AgentView): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

export function pathOf(id: string): string {
  return `/api/v1/agents/${id}`;
}
