import { join } from 'node:path';
import type { AgentView } from '../http/agents.ts';
import { deploymentStatus, isConverged, poll } from './await-state.ts';
import type { Client } from './client.ts';
import { CliError } from './error.ts';
import { EXAMPLE, EXAMPLE_NAME } from './programs.ts';
import { pushModel } from './push.ts';

const JOIN_MS = 20_000;
const CONVERGE_MS = 30_000;

/** Pushes the bundled model and deploys it as `name`; resolves when the local agent serves it. */
export async function setUpExample(client: Client, name: string): Promise<void> {
  const pushed = await pushModel(client, {
    model: EXAMPLE_NAME,
    file: join(EXAMPLE, 'v1.onnx'),
    baseline: join(EXAMPLE, 'baseline.csv'),
    manifest: join(EXAMPLE, 'manifest.json'),
  });
  const agents = () => client.list<AgentView>('/api/v1/agents');
  const isThere = (all: AgentView[]) => all.some((agent) => agent.connected);
  if ((await poll(agents, isThere, JOIN_MS)) === null) {
    throw new CliError('failed', `the agent has not joined in ${JOIN_MS / 1000} s`);
  }
  const { model, version } = pushed;
  await client.put(`/api/v1/deployments/${encodeURIComponent(name)}`, { model, version });
  const read = () => deploymentStatus(client, name);
  if ((await poll(read, isConverged, CONVERGE_MS)) === null) {
    const told = `the agent does not serve ${model}@${version} after ${CONVERGE_MS / 1000} s`;
    throw new CliError('failed', told);
  }
}
