import { join } from 'node:path';
import type { MonitoringView } from '../../http/monitoring-view.ts';
import type { RolloutRequest, RolloutView } from '../../http/services.ts';
import { deploymentStatus, isConverged, poll } from '../await-state.ts';
import type { Client } from '../client.ts';
import { CliError } from '../error.ts';
import { EXAMPLE, EXAMPLE_NAME } from '../programs.ts';
import { type Pushed, pushModel } from '../push.ts';
import type { DemoAgent } from './stack.ts';
import type { Seen, Traffic } from './traffic.ts';

export const DEPLOYMENT = 'mortgage';
export const WINDOW_MS = 2000;
/** Fine enough for milliseconds of reaction, since what is timed is read from recorded answers. */
const LOOK_MS = 25;

/** What the scenes play on. */
export class Stage {
  readonly client: Client;
  readonly agents: readonly DemoAgent[];
  readonly traffic: Traffic;

  constructor(client: Client, agents: readonly DemoAgent[], traffic: Traffic) {
    this.client = client;
    this.agents = agents;
    this.traffic = traffic;
  }

  push(file: string): Promise<Pushed> {
    return pushModel(this.client, {
      model: EXAMPLE_NAME,
      file: join(EXAMPLE, file),
      baseline: join(EXAMPLE, 'baseline.csv'),
      manifest: join(EXAMPLE, 'manifest.json'),
    });
  }

  /** Puts a version in service everywhere and waits until each agent says that it serves it. */
  async deployEverywhere(model: string, version: number): Promise<void> {
    const path = `/api/v1/deployments/${DEPLOYMENT}`;
    // Nobody waits twenty windows in a demo: the profile alone must do.
    const monitoring = { learningWindows: 0 };
    await this.client.put(path, { model, version, windowMs: WINDOW_MS, monitoring });
    const read = () => deploymentStatus(this.client, DEPLOYMENT);
    await this.until(read, isConverged, 30_000, `every agent serves ${model}@${version}`);
  }

  startCanary(version: number, observeMs: number): Promise<RolloutView> {
    const request: Partial<RolloutRequest> = {
      version,
      canary: { agents: 1, share: 1 },
      observeMs,
    };
    return this.client.post(`/api/v1/deployments/${DEPLOYMENT}/rollouts`, request);
  }

  rollout(id: string): Promise<RolloutView> {
    return this.client.get(`/api/v1/rollouts/${id}`);
  }

  monitoring(): Promise<MonitoringView> {
    return this.client.get(`/api/v1/deployments/${DEPLOYMENT}/monitoring?include=windows`);
  }

  /** Index of the one agent that a rollout chose. */
  canaryOf(rollout: RolloutView): number {
    const { members } = rollout.plan.cohort as { members: readonly string[] };
    const at = this.agents.findIndex((agent) => members.includes(agent.id));
    if (at === -1) throw new CliError('failed', `rollout ${rollout.id} chose no agent of ours`);
    return at;
  }

  /** The first answer of agent `at` that fits; waits for it. */
  answer(at: number, what: string, fits: (seen: Seen) => boolean): Promise<Seen> {
    const read = async () => this.traffic.firstSeen(at, fits);
    return this.until(read, (seen) => seen !== undefined, 10_000, what) as Promise<Seen>;
  }

  async until<T>(
    read: () => Promise<T>,
    done: (value: T) => boolean,
    withinMs: number,
    what: string,
  ): Promise<T> {
    const value = await poll(read, done, withinMs, LOOK_MS);
    if (value === null) throw new CliError('failed', `not in ${withinMs / 1000} s: ${what}`);
    return value;
  }
}
