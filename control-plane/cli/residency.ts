import type { Residency } from '../../protocol/residency.ts';
import type { AgentView } from '../http/agents.ts';
import { deploymentHosts, deploymentStatus } from './await-state.ts';
import type { Context } from './context.ts';
import type { ResidencyFlags } from './residency-flags.ts';
import { residencyFrom } from './residency-values.ts';
import { type Terminal, table } from './terminal.ts';

/** Shows where a deployment may be, or changes it on all agents without changing the version. */
export async function residency(
  { client, terminal }: Context,
  name: string,
  flags: ResidencyFlags,
): Promise<void> {
  const path = `/api/v1/deployments/${encodeURIComponent(name)}`;
  const { model, version, residency: present } = await deploymentStatus(client, name);
  const change = residencyFrom(flags, present);
  if (change !== null) await client.put(path, { model, version, residency: change });
  const status = await deploymentStatus(client, name);
  const agents = (await client.list<AgentView>('/api/v1/agents')).filter(
    ({ state }) => state !== 'revoked',
  );
  const within = new Set((await deploymentHosts(client, name)).map(({ id }) => id));
  const hosts = agents.map(({ id, name: called, jurisdiction }) => ({
    ...{ id, name: called, jurisdiction },
    serves: within.has(id),
  }));
  terminal.result({ deployment: name, residency: status.residency, hosts });
  terminal.say(`${terminal.paint('bold', name)} is ${model}@${version}`);
  terminal.say(table(policyRows(status.residency)));
  sayHosts(terminal, hosts);
}

function policyRows({ jurisdictions, telemetry, outcomes, decisions }: Residency): string[][] {
  if (jurisdictions.length === 0) return [['  hosts', 'anywhere: nothing is restricted']];
  const control = 'a control plane within';
  return [
    ['  hosts', `in ${jurisdictions.join(', ')}`],
    [
      '  windows',
      telemetry === 'within'
        ? 'are merged of hosts within'
        : 'are merged of hosts that were moved away, too',
    ],
    [
      '  outcomes',
      outcomes === 'within' ? `leave hosts for ${control}` : 'leave hosts for any control plane',
    ],
    [
      '  decisions',
      decisions === 'within' ? `are shown by ${control}` : 'are shown by any control plane',
    ],
  ];
}

interface Host {
  readonly name: string;
  readonly jurisdiction: string | null;
  readonly serves: boolean;
}

function sayHosts(terminal: Terminal, hosts: readonly Host[]): void {
  if (hosts.length === 0) return;
  terminal.say(`\n${terminal.paint('dim', 'HOSTS')}`);
  const rows = hosts.map(({ name, jurisdiction, serves }) => [
    name,
    jurisdiction ?? 'nobody has said where',
    serves ? terminal.paint('green', 'gets it') : terminal.paint('dim', 'does not get it'),
  ]);
  terminal.say(table(rows));
}
