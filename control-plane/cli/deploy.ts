import { UNRESTRICTED } from '../../protocol/residency.ts';
import type { DeploymentStatus } from '../http/deployments.ts';
import type { RolloutRequest, RolloutView } from '../http/services.ts';
import {
  deploymentHosts,
  deploymentStatus,
  hasEnded,
  isConverged,
  poll,
  servesStable,
} from './await-state.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import type { GuardFlags } from './guard-flags.ts';
import { guardFrom, leaseFrom } from './guard-values.ts';
import { monitoringFrom } from './monitoring-file.ts';
import type { ResidencyFlags } from './residency-flags.ts';
import { residencyFrom } from './residency-values.ts';
import { gateLine, sayRollout } from './rollout.ts';
import type { ServingFlags } from './serving-flags.ts';
import { mergeFlags, parsePins, servingFrom } from './serving-values.ts';
import { parseDuration, parseInteger, parseLabels, parseShare, parseVersion } from './values.ts';

export interface DeployOptions extends ServingFlags, GuardFlags, ResidencyFlags {
  readonly pin?: string;
  readonly monitoring?: string;
  readonly as: string;
  readonly to: readonly string[];
  readonly window?: string;
  readonly strategy: string;
  readonly canaryAgents: string;
  readonly share?: string;
  readonly observe: string;
  readonly wait: boolean;
}

/** Share of the traffic for a candidate on all agents of a deployment. */
const SHARED = 0.5;
/** Fetching a large model over a slow line; the deployment goes on without this command. */
const CONVERGE_MS = 120_000;

/** A new deployment goes everywhere at once: there is nothing yet that it could be worse than. */
export async function deploy(
  context: Context,
  text: string,
  options: DeployOptions,
): Promise<void> {
  const { model, version } = parseVersion(text);
  const { strategy } = options;
  if (strategy !== 'canary' && strategy !== 'all-at-once') {
    const told = `--strategy is "${strategy}"; it must be canary or all-at-once`;
    throw new CliError('usage', told);
  }
  const serving = await servingFrom(options);
  const pins = options.pin === undefined ? null : parsePins('--pin', options.pin);
  const monitoring =
    options.monitoring === undefined ? null : await monitoringFrom(options.monitoring);
  const path = `/api/v1/deployments/${encodeURIComponent(options.as)}`;
  const present = await context.client.find<DeploymentStatus>(path);
  const guard = guardFrom(options, present?.guard ?? {});
  const lease = leaseFrom(options, present?.lease ?? null);
  const residency = residencyFrom(options, present?.residency ?? UNRESTRICTED);
  if (present === null || strategy === 'all-at-once') {
    // What is not given stays as it was; pins are given as a whole, so those of before come along.
    const before = (present?.pinned ?? []).filter((each) => each !== version);
    const change = {
      model,
      version,
      ...(serving === null ? {} : { serving: mergeFlags(present?.serving ?? {}, serving) }),
      ...(monitoring === null ? {} : { monitoring }),
      ...(guard === null ? {} : { guard }),
      ...(lease === null ? {} : { lease }),
      ...(pins === null ? {} : { pinned: [...new Set([...before, ...pins])] }),
      ...(residency === null ? {} : { residency }),
    };
    await deployEverywhere(context, path, change, options);
    return;
  }
  if (present.model !== model) {
    const told = `"${options.as}" serves model ${present.model}: deploy ${text} under another name`;
    throw new CliError('failed', told);
  }
  if (options.to.length > 0 || options.window !== undefined) {
    const told = '--to and --window change a deployment at once: add --strategy all-at-once';
    throw new CliError('usage', told);
  }
  if (residency !== null) {
    const told = `where "${options.as}" may be changes at once: use "driftline residency ${options.as}" before the rollout, or add --strategy all-at-once`;
    throw new CliError('usage', told);
  }
  if (serving !== null || pins !== null) {
    const told = `how "${options.as}" is executed and what is pinned changes at once: use "driftline serving ${options.as}" before or after the rollout, or add --strategy all-at-once`;
    throw new CliError('usage', told);
  }
  if (monitoring !== null) {
    const told = `how "${options.as}" is watched changes at once: add --strategy all-at-once, with the version that serves now if it shall stay`;
    throw new CliError('usage', told);
  }
  if (guard !== null || lease !== null) {
    const told = `the guard and lease of "${options.as}" change at once: use "driftline guard ${options.as}" before the rollout, or add --strategy all-at-once`;
    throw new CliError('usage', told);
  }
  await deployByCanary(context, path, version, present.hosts.total, options);
}

async function deployEverywhere(
  { client, terminal }: Context,
  path: string,
  change: { readonly model: string; readonly version: number },
  options: DeployOptions,
): Promise<void> {
  const { model, version } = change;
  const to = options.to.length === 0 ? undefined : parseLabels('--to', options.to);
  const windowMs =
    options.window === undefined ? undefined : parseDuration('--window', options.window);
  await client.put(path, { ...change, to, windowMs });
  let status = await deploymentStatus(client, options.as);
  if (options.wait && status.hosts.connected > 0) {
    const read = async () => {
      status = await deploymentStatus(client, options.as);
      const { serving, total } = status.hosts;
      terminal.progress(`${serving} of ${total} agents serve ${model}@${version}`);
      return status;
    };
    const settled = await poll(
      read,
      (now) => isConverged(now) || now.hosts.refused.length > 0,
      CONVERGE_MS,
    );
    terminal.progressDone();
    const refused = status.hosts.refused.map(({ name, reason }) => `${name} refuses it: ${reason}`);
    if (settled === null || refused.length > 0) {
      const why =
        refused.length > 0 ? refused.join('\n') : `not everywhere in ${CONVERGE_MS / 1000} s`;
      throw new CliError('failed', `${model}@${version} as "${options.as}": ${why}`);
    }
  }
  const agents = await deploymentHosts(client, options.as);
  terminal.result({ ...status, agents });
  const here = agents.filter((agent) => servesStable(agent, version));
  terminal.say(
    `${terminal.paint('bold', options.as)} is ${model}@${version} on ${here.length} of ${agents.length} agents`,
  );
  for (const agent of here) {
    if (agent.serving === null) continue;
    terminal.say(terminal.paint('dim', `  ${agent.serving}/v2/models/${options.as}/infer`));
  }
}

async function deployByCanary(
  { client, terminal }: Context,
  path: string,
  version: number,
  targets: number,
  options: DeployOptions,
): Promise<void> {
  const agents = parseInteger('--canary-agents', options.canaryAgents, 1, 1_000_000);
  // Somebody must go on answering with the old version, or there is nothing to compare with.
  const byDefault = agents < targets ? 1 : SHARED;
  const share = options.share === undefined ? byDefault : parseShare('--share', options.share);
  const request: Partial<RolloutRequest> = {
    version,
    canary: { agents, share },
    observeMs: parseDuration('--observe', options.observe),
  };
  let rollout = await client.post<RolloutView>(`${path}/rollouts`, request);
  const where = agents < targets ? `${agents} of ${targets} agents` : 'all agents';
  const part = share < 1 ? `, with ${Math.round(100 * share)} % of their traffic` : '';
  terminal.say(`rollout ${terminal.paint('bold', rollout.id)} began on ${where}${part}`);
  if (options.wait) {
    const read = async () => {
      rollout = await client.get<RolloutView>(`/api/v1/rollouts/${rollout.id}`);
      terminal.progress(gateLine(rollout));
      return rollout;
    };
    await poll(read, (now) => hasEnded(now) || now.state.kind === 'held', Number.POSITIVE_INFINITY);
    terminal.progressDone();
  }
  terminal.result(rollout);
  sayRollout(terminal, rollout);
  if (options.wait && rollout.state.kind !== 'completed') process.exitCode = 1;
}
