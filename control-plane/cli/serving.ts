import type { Serving } from '../../protocol/serving.ts';
import type { DeploymentHost } from '../http/deployment-hosts.ts';
import type { DeploymentStatus } from '../http/deployments.ts';
import type { StoredTuning } from '../http/tuning.ts';
import { deploymentHosts, deploymentStatus } from './await-state.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import type { ServingFlags } from './serving-flags.ts';
import { mergeFlags, parsePins, servingFrom } from './serving-values.ts';
import { type Terminal, table } from './terminal.ts';
import { sayTuning } from './tuning-table.ts';

export interface ServingOptions extends ServingFlags {
  readonly reset?: boolean;
  readonly pin?: string;
  readonly unpin?: string | true;
}

/** Shows how a deployment is executed, or changes it on all its agents without changing its version. */
export async function serving(
  { client, terminal }: Context,
  name: string,
  options: ServingOptions,
): Promise<void> {
  const path = `/api/v1/deployments/${encodeURIComponent(name)}`;
  const given = await servingFrom(options);
  const pins = options.pin === undefined ? null : parsePins('--pin', options.pin);
  const unpins = unpinned(options.unpin);
  const { model, version, ...present } = await deploymentStatus(client, name);
  const reset = options.reset === true;
  if (reset || given !== null || pins !== null || unpins !== null) {
    await client.put(path, {
      model,
      version,
      ...(reset || given !== null
        ? { serving: mergeFlags(reset ? {} : present.serving, given) }
        : {}),
      ...(reset ? { tuned: {} } : {}),
      ...(pins === null && unpins === null ? {} : { pinned: newPins(present, pins, unpins) }),
    });
  }
  const status = await deploymentStatus(client, name);
  const { items } = await client.get<{ items: StoredTuning[] }>(`${path}/tunings?limit=1`);
  const [tuning = null] = items;
  const { serving: set, tuned, inForce, pinned } = status;
  terminal.result({ deployment: name, serving: set, tuned, inForce, pinned, tuning });
  sayServing(terminal, status, await deploymentHosts(client, name), tuning);
}

/** Null: nothing is unpinned; 'all': everything is. */
function unpinned(option: string | true | undefined): readonly number[] | 'all' | null {
  if (option === undefined) return null;
  return option === true ? 'all' : parsePins('--unpin', option);
}

function newPins(
  { pinned }: Pick<DeploymentStatus, 'pinned'>,
  pins: readonly number[] | null,
  unpins: readonly number[] | 'all' | null,
): number[] {
  const absent = unpins === 'all' ? [] : (unpins ?? []).filter((one) => !pinned.includes(one));
  if (absent.length > 0) {
    const those = pinned.join(', ') || 'none';
    throw new CliError('usage', `--unpin names ${absent.join(', ')}; pinned are ${those}`);
  }
  const kept = unpins === 'all' ? [] : pinned.filter((one) => !(unpins ?? []).includes(one));
  return [...new Set([...kept, ...(pins ?? [])])];
}

const NOT_SET = 'each host decides';

function sayServing(
  terminal: Terminal,
  status: DeploymentStatus,
  agents: readonly DeploymentHost[],
  tuning: StoredTuning | null,
): void {
  const { name, model, version, pinned, serving: set, tuned, inForce } = status;
  terminal.say(`${terminal.paint('bold', name)} is ${model}@${version}`);
  const asSet = new Map(entriesOf(set));
  const asTuned = new Map(entriesOf(tuned));
  const rows = entriesOf(inForce, true).map(([field, value]) => {
    const from = asSet.has(field) ? 'set' : asTuned.has(field) ? 'tuned' : '';
    const shown = value === null ? terminal.paint('dim', NOT_SET) : String(value);
    return [`  ${field}`, shown, terminal.paint('dim', from)];
  });
  const versions = pinned
    .map((each) => `${each} at /v2/models/${name}/versions/${each}`)
    .join(', ');
  rows.push(['  pinned', versions || terminal.paint('dim', 'no other version'), '']);
  terminal.say(table(rows));
  terminal.say();
  sayPlacements(terminal, agents);
  if (tuning === null)
    terminal.say(terminal.paint('dim', `not measured yet: driftline tune ${name}`));
  else sayTuning(terminal, tuning, null);
}

/** Where each host really runs the version, as it last reported. */
function sayPlacements(terminal: Terminal, agents: readonly DeploymentHost[]): void {
  const rows = agents.flatMap(({ name, arms }) =>
    arms.flatMap((arm) => {
      if (arm.state !== 'serving' || arm.placement === undefined) return [];
      const { kind, provider, executor, workers, runUs, refused } = arm.placement;
      const place = kind === 'inline' ? 'inline' : `${workers} worker${workers === 1 ? '' : 's'}`;
      const took = runUs === null ? 'not measured' : `${runUs.toFixed(0)} us a call`;
      const why = refused.map((each) => `no ${each.provider}: ${each.reason}`).join('; ');
      return [[`  ${name}`, `@${arm.version}`, place, provider, executor, took, why]];
    }),
  );
  if (rows.length === 0) return;
  terminal.say('on the hosts:');
  terminal.say(table(rows));
  terminal.say();
}

type Entry = readonly [field: string, value: string | number | null];

/** The flags' names and their values; with `all` also those that are not given. */
function entriesOf({ batching, ...rest }: Serving, all = false): Entry[] {
  const entries: Entry[] = [
    ['max-batch-size', batching?.maxBatchSize ?? null],
    ['max-queue-delay-us', batching?.maxQueueDelayUs ?? null],
    ['max-queue', batching?.maxQueueRequests ?? null],
    ['timeout-us', batching?.timeoutUs ?? null],
    ['placement', rest.placement ?? null],
    ['workers', rest.workers ?? null],
    ['intra-op-threads', rest.intraOpThreads ?? null],
    ['providers', rest.providers?.join(',') ?? null],
    ['engines', rest.engines ?? null],
  ];
  return all ? entries : entries.filter(([, value]) => value !== null);
}
