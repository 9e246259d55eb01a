import type { AgentId } from '../../protocol/ids.ts';
import { mergeServing } from '../../protocol/serving.ts';
import type { Tuning } from '../../protocol/tuning.ts';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Commands, Fleet, KnownHost } from '../http/services.ts';
import { CommandError, endOf, recordedEnd } from '../link/commands.ts';
import type { Store, Transaction } from '../store/database.ts';
import { type DeploymentRow, findDeployment, updateDeployment } from '../store/deployments.ts';
import { findVersion } from '../store/models.ts';
import { findLiveRollout } from '../store/rollouts.ts';
import { insertTuning, type TuningRow } from '../store/tunings.ts';

/** A host measures for 20 s and ends what hangs after 60; the rest is for a model that opens slowly. */
export const TUNE_TIMEOUT_MS = 90_000;

export interface TuneDeps {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly commands: Commands;
  readonly now: () => number;
}

export interface TuneRequest {
  /** Name or id of the host that measures; default: the first by name that is linked and serves it. */
  readonly agent?: string | undefined;
  /**
   * `unset`: what is recommended holds where an operator has set nothing; `all`: it replaces what an
   * operator has set; `none`: it is shown and kept, and changes nothing.
   */
  readonly apply: 'unset' | 'all' | 'none';
}

export interface Tuned {
  readonly row: TuningRow;
  readonly agent: string;
  readonly deployment: DeploymentRow;
}

/**
 * Has one host measure a deployment, keeps the table, and applies what follows from it. Throws `ControlError`
 * 'not-found' (deployment, agent), 'conflict' (a pipeline, a live rollout, another tuning there, or a version that has
 * changed meanwhile) and 'unavailable' (nobody to ask, or no answer).
 */
export async function tuneDeployment(
  deps: TuneDeps,
  name: string,
  request: TuneRequest,
  actor: Actor,
): Promise<Tuned> {
  const { store, commands, now } = deps;
  const before = await deploymentOf(store, name);
  await refusePipeline(store, before);
  const agent = chooseAgent(deps.fleet, before, request.agent);
  if (request.apply !== 'none') await refuseDuringRollout(store.read, name);
  const command = { name: 'tune', deployment: name } as const;
  const end = await endOf(commands.send(agent.id, command, TUNE_TIMEOUT_MS, actor));
  const asked = { agent: agent.id, apply: request.apply, ...recordedEnd(end) };
  if (end instanceof CommandError || !end.outcome.ok) {
    await store.write((tx) =>
      record(tx, now(), actor, 'deployment.tuned', `deployment:${name}`, asked),
    );
  }
  if (end instanceof CommandError) throw end;
  const { outcome } = end;
  if (!outcome.ok) {
    const kind = outcome.code === 'busy' ? 'conflict' : 'unavailable';
    throw new ControlError(kind, `${agent.name} did not tune "${name}": ${outcome.message}`);
  }
  const { value } = outcome;
  if (value.name !== 'tune') throw new Error(`${agent.id} answered "tune" with "${value.name}"`);
  const { tuning } = value;
  const { version, recommended } = tuning;
  const at = now();
  const row = await store.write(async (tx) => {
    const detail = { ...asked, version, recommended };
    await record(tx, at, actor, 'deployment.tuned', `deployment:${name}`, detail);
    return insertTuning(tx, { deployment: name, version, agentId: agent.id, at, tuning });
  });
  // A transaction of its own: what was measured is kept even where it can no longer be applied.
  const deployment = await store.write((tx) => apply(tx, name, tuning, request.apply, actor, at));
  return { row, agent: agent.name, deployment };
}

async function refusePipeline({ read }: Store, row: DeploymentRow): Promise<void> {
  const version = await findVersion(read, row.model, row.version);
  const steps = version?.document.steps;
  if (steps === undefined) return;
  const told = `"${row.name}" is a pipeline, which computes nothing itself; tune its steps: ${steps.join(', ')}`;
  throw new ControlError('conflict', told);
}

async function deploymentOf(store: Store, name: string): Promise<DeploymentRow> {
  const row = await findDeployment(store.read, name);
  if (row === null) throw new ControlError('not-found', `there is no deployment "${name}"`);
  return row;
}

function chooseAgent(
  fleet: Fleet,
  { name, version }: DeploymentRow,
  wanted: string | undefined,
): KnownHost {
  const connected: ReadonlySet<AgentId> = fleet.connected();
  const named = fleet
    .hosts()
    .filter((agent) => wanted === undefined || agent.id === wanted || agent.name === wanted);
  if (named.length === 0) throw new ControlError('not-found', `there is no agent "${wanted}"`);
  const [able] = named
    .filter(({ id, stable }) => connected.has(id) && stable.get(name) === version)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (able !== undefined) return able;
  const who =
    wanted === undefined ? 'no connected agent serves' : `agent "${wanted}" does not serve`;
  const away = wanted !== undefined && !named.some((agent) => connected.has(agent.id));
  const told = away
    ? `agent "${wanted}" is not connected`
    : `${who} version ${version} of "${name}"`;
  throw new ControlError('unavailable', `${told}; "driftline status" shows who does`);
}

async function refuseDuringRollout(db: Store['read'] | Transaction, name: string): Promise<void> {
  const live = await findLiveRollout(db, name);
  if (live === null) return;
  throw new ControlError(
    'conflict',
    `rollout ${live.id} of "${name}" is in progress, and its arms are compared as they are executed now; end it first, or tune without applying (--dry-run)`,
  );
}

async function apply(
  tx: Transaction,
  name: string,
  { recommended, version }: Tuning,
  mode: TuneRequest['apply'],
  actor: Actor,
  now: number,
): Promise<DeploymentRow> {
  const row = await findDeployment(tx, name);
  if (row === null) throw new ControlError('not-found', `there is no deployment "${name}"`);
  if (mode === 'none') return row;
  await refuseDuringRollout(tx, name);
  if (row.version !== version) {
    const told = `"${name}" answers with version ${row.version} now, and ${version} was measured: tune again`;
    throw new ControlError('conflict', told);
  }
  const serving = mode === 'all' ? mergeServing(row.serving, recommended) : row.serving;
  const change = { tuned: recommended, serving, updatedAt: now };
  await updateDeployment(tx, name, change);
  const detail = { from: version, to: version, serving, tuned: recommended };
  await record(tx, now, actor, 'deployment.changed', `deployment:${name}`, detail);
  return { ...row, ...change };
}
