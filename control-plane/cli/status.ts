import { EGRESS_KINDS } from '../../protocol/ledger.ts';
import type { AgentView } from '../http/agents.ts';
import type { AlertView } from '../http/alerts.ts';
import type { Deployment, DeploymentStatus } from '../http/deployments.ts';
import { sayAlerts } from './alerts.ts';
import { deploymentStatus, hasEnded } from './await-state.ts';
import type { Context } from './context.ts';
import { downloadLines } from './downloads.ts';
import { sayTrips } from './guard.ts';
import { gateLine } from './rollout.ts';
import { type Terminal, table } from './terminal.ts';
import { showBytes, showMs, showTime } from './values.ts';

export async function status({ client, terminal }: Context): Promise<void> {
  const [names, agents, alerts] = await Promise.all([
    client.list<Deployment>('/api/v1/deployments'),
    client.list<AgentView>('/api/v1/agents'),
    client.list<AlertView>('/api/v1/alerts?open=true'),
  ]);
  const deployments = await Promise.all(names.map(({ name }) => deploymentStatus(client, name)));
  terminal.result({ url: client.url, deployments, agents, alerts });
  sayDeployments(terminal, deployments);
  sayAgents(terminal, agents);
  for (const each of deployments) sayTrips(terminal, each);
  terminal.say();
  sayAlerts(terminal, alerts);
}

function sayDeployments(terminal: Terminal, deployments: readonly DeploymentStatus[]): void {
  terminal.say(terminal.paint('dim', 'DEPLOYMENTS'));
  if (deployments.length === 0) {
    terminal.say('none yet: driftline deploy MODEL@VERSION --as NAME');
  }
  const rows = deployments.map((each) => {
    const { serving, total } = each.hosts;
    const count = `${serving} of ${total} agents`;
    const rollout = each.rollout === null || hasEnded(each.rollout) ? null : each.rollout;
    return [
      terminal.paint('bold', each.name),
      `${each.model}@${each.version}`,
      terminal.paint(serving === total ? 'green' : 'yellow', count),
      `windows of ${showMs(each.windowMs)}`,
      leaseNote(terminal, each),
      rollout === null ? '' : `-> ${rollout.to} ${gateLine(rollout)} (${rollout.id})`,
    ];
  });
  if (rows.length > 0) terminal.say(table(rows));
}

/** Hosts that serve, or do not serve, for want of a lease. */
function leaseNote(terminal: Terminal, { hosts, lease }: DeploymentStatus): string {
  if (hosts.unleased === 0) return '';
  const what = lease?.afterwards === 'stop' ? 'stopped' : 'go on';
  return terminal.paint('red', `${hosts.unleased} ${what} without a lease`);
}

function sayAgents(terminal: Terminal, agents: readonly AgentView[]): void {
  terminal.say(`\n${terminal.paint('dim', 'AGENTS')}`);
  const present = agents.filter(({ state }) => state !== 'revoked');
  if (present.length === 0) terminal.say('none yet: driftline join-token');
  const rows = present.map((agent) => [
    terminal.paint('bold', agent.name),
    linkOf(terminal, agent),
    agent.serving ?? 'not serving',
    Object.entries(agent.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
    terminal.paint('dim', agent.id),
    downloadLines(terminal, agent.downloads).join(', '),
  ]);
  if (rows.length > 0) terminal.say(table(rows));
  sayEgress(terminal, agents);
}

/** Kinds in the order of what an auditor asks first. */
function sayEgress(terminal: Terminal, agents: readonly AgentView[]): void {
  const told = agents.flatMap(({ name, ledger }) => (ledger === null ? [] : [{ name, ledger }]));
  if (told.length === 0) return;
  terminal.say(`\n${terminal.paint('dim', 'WHAT LEFT EACH HOST')}`);
  const rows = told.map(({ name, ledger }) => [
    terminal.paint('bold', name),
    `since ${showTime(ledger.sinceMs)}`,
    EGRESS_KINDS.flatMap((kind) => {
      const sent = ledger.egress[kind];
      return sent === undefined ? [] : [`${kind} ${showBytes(sent.bytes)}`];
    }).join(', '),
    Math.abs(ledger.clockAheadMs) < TOLD_SKEW_MS
      ? ''
      : terminal.paint('yellow', `clock ${signed(ledger.clockAheadMs)}`),
    outboxNote(terminal, ledger.outbox),
  ]);
  terminal.say(table(rows));
}

/** Below this a clock is good enough for windows of seconds. */
const TOLD_SKEW_MS = 2_000;

function signed(aheadMs: number): string {
  return `${showMs(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead' : 'behind'}`;
}

function outboxNote(
  terminal: Terminal,
  { pending, dropped, coarsened }: NonNullable<AgentView['ledger']>['outbox'],
): string {
  const notes = [
    pending > 0 ? `${pending} windows wait` : '',
    coarsened > 0 ? `${coarsened} made coarser` : '',
    dropped > 0 ? terminal.paint('red', `${dropped} dropped`) : '',
  ];
  return notes.filter((note) => note !== '').join(', ');
}

function linkOf(terminal: Terminal, agent: AgentView): string {
  if (agent.state === 'pending') {
    return terminal.paint('yellow', `waits for approval of ${agent.fingerprint.slice(0, 16)}`);
  }
  if (!agent.connected) return terminal.paint('red', `away since ${showTime(agent.lastSeenAt)}`);
  if (agent.draining) return terminal.paint('yellow', 'drained');
  // Its document has expired: what runs goes on, and nothing new is installed.
  return agent.stale ? terminal.paint('red', 'STALE') : terminal.paint('green', 'connected');
}
