import { DEFAULT_LAST_ANSWERS, type Guard, isGuarded } from '../../protocol/guard.ts';
import { describeBreach, describeOutcome } from '../../protocol/trip.ts';
import type { DeploymentHost } from '../http/deployment-hosts.ts';
import type { DeploymentStatus } from '../http/deployments.ts';
import { deploymentHosts, deploymentStatus } from './await-state.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import type { GuardFlags } from './guard-flags.ts';
import { guardFrom, leaseFrom } from './guard-values.ts';
import { type Terminal, table } from './terminal.ts';
import { showMs, showTime } from './values.ts';

export interface GuardOptions extends GuardFlags {
  readonly off?: boolean;
  readonly leaseOff?: boolean;
}

/** Shows what hosts decide by themselves and what they did, or changes it on all agents without changing the version. */
export async function guard(
  { client, terminal }: Context,
  name: string,
  options: GuardOptions,
): Promise<void> {
  const path = `/api/v1/deployments/${encodeURIComponent(name)}`;
  const { model, version, ...present } = await deploymentStatus(client, name);
  const off = options.off === true;
  const leaseOff = options.leaseOff === true;
  if (leaseOff && (options.lease !== undefined || options.afterLease !== undefined)) {
    throw new CliError('usage', '--lease-off takes the lease away: leave --lease out beside it');
  }
  const set = guardFrom(options, off ? {} : present.guard) ?? (off ? {} : null);
  const lease = leaseFrom(options, present.lease);
  if (set !== null || lease !== null || leaseOff) {
    await client.put(path, {
      ...{ model, version },
      ...(set === null ? {} : { guard: set }),
      ...(lease === null && !leaseOff ? {} : { lease }),
    });
  }
  const status = await deploymentStatus(client, name);
  const { trips } = status;
  const agents = await deploymentHosts(client, name);
  const leases = agents.map(({ id, name: called, lease: told }) => ({
    id,
    name: called,
    lease: told,
  }));
  terminal.result({ deployment: name, guard: status.guard, lease: status.lease, leases, trips });
  sayGuard(terminal, status, agents);
}

function sayGuard(
  terminal: Terminal,
  status: DeploymentStatus,
  agents: readonly DeploymentHost[],
): void {
  const { name, model, version, lease } = status;
  terminal.say(`${terminal.paint('bold', name)} is ${model}@${version}`);
  const rows = isGuarded(status.guard)
    ? guardRows(status.guard)
    : [['  guard', 'none: hosts take nothing back by themselves']];
  const then = lease?.afterwards === 'stop' ? 'then answers 503' : 'then goes on, and says so';
  const leased =
    lease === null
      ? 'none: hosts serve it for ever, whether or not they hear from here'
      : `${showMs(lease.durationMs)} without a word from here, ${then}`;
  terminal.say(table([...rows, ['  lease', leased]]));
  sayLeases(terminal, agents);
  sayTrips(terminal, status);
}

function guardRows(guard: Guard): string[][] {
  const { lastAnswers = DEFAULT_LAST_ANSWERS, maxNonFinite, maxErrorShare, latency, drift } = guard;
  const of = `of the last ${lastAnswers} answers of an engine`;
  const rows: string[][] = [];
  if (maxNonFinite !== undefined) rows.push(['  non-finite', `at most ${maxNonFinite} ${of}`]);
  if (maxErrorShare !== undefined)
    rows.push(['  errors', `at most ${percent(maxErrorShare)} ${of}`]);
  if (latency !== undefined) {
    const above = `above ${latency.budgetUs} us: at most ${percent(latency.maxShare)}`;
    rows.push(['  latency', `${above} ${of}`]);
  }
  if (drift !== undefined) {
    rows.push([
      '  drift',
      `PSI of predictions at most ${drift.maxPsi}, from ${drift.minRows} rows on`,
    ]);
  }
  const kept = guard.withoutLastGood === 'refuse' ? 'answers 503' : 'goes on, and says so';
  rows.push(['  no last good', kept]);
  return rows;
}

function sayLeases(terminal: Terminal, agents: readonly DeploymentHost[]): void {
  for (const { name, lease } of agents) {
    if (lease === null || lease.lapsedAt === null) continue;
    const state = lease.state === 'held' ? 'held again' : lease.state;
    terminal.say(`  ${name}: lease ${state}; it last ran out at ${showTime(lease.lapsedAt)}`);
  }
}

/** What guards took back, latest first. */
export function sayTrips(terminal: Terminal, { name, trips }: DeploymentStatus): void {
  if (trips.length === 0) return;
  terminal.say(`\n${terminal.paint('dim', `TAKEN BACK BY HOSTS OF ${name}`)}`);
  terminal.say(
    table(
      trips.map((trip) => [
        terminal.paint('red', `@${trip.version}`),
        trip.agentName,
        showTime(trip.at),
        describeBreach(trip.breach),
        describeOutcome(trip),
      ]),
    ),
  );
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}
