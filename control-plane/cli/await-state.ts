import { setTimeout as pause } from 'node:timers/promises';
import type { DeploymentHost } from '../http/deployment-hosts.ts';
import type { DeploymentStatus } from '../http/deployments.ts';
import type { RolloutView } from '../http/services.ts';
import type { Client } from './client.ts';

const POLL_MS = 200;
const ENDED = new Set(['completed', 'rolled-back', 'aborted']);

export function hasEnded(rollout: RolloutView): boolean {
  return ENDED.has(rollout.state.kind);
}

/** What `read` gives once `done` says so, or null after `withinMs`. */
export async function poll<T>(
  read: () => Promise<T>,
  done: (value: T) => boolean,
  withinMs: number,
  everyMs = POLL_MS,
): Promise<T | null> {
  const until = performance.now() + withinMs;
  for (;;) {
    const value = await read();
    if (done(value)) return value;
    if (performance.now() > until) return null;
    await pause(everyMs);
  }
}

export function deploymentStatus(client: Client, name: string): Promise<DeploymentStatus> {
  return client.get(`/api/v1/deployments/${encodeURIComponent(name)}`);
}

/** What each agent of a deployment runs, as it last said. */
export function deploymentHosts(client: Client, name: string): Promise<DeploymentHost[]> {
  return client.list(`/api/v1/deployments/${encodeURIComponent(name)}/agents`);
}

/** Every connected agent serves the version on its stable arm, as the control plane has been told. */
export function isConverged({ hosts }: DeploymentStatus): boolean {
  return hosts.connectedServing === hosts.connected;
}

export function servesStable(agent: DeploymentHost, version: number): boolean {
  const arm = agent.arms.find((each) => each.arm === 'stable');
  const current = agent.applied >= agent.desired;
  return current && arm?.state === 'serving' && arm.version === version;
}
