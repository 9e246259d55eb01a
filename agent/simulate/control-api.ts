import { z } from 'zod';
import { AgentError } from '../error.ts';

const REQUEST_TIMEOUT_MS = 60_000;

const tokenSchema = z.object({ token: z.string() });
const rollbackSchema = z.object({ generation: z.int() });
const deploymentSchema = z.object({ model: z.string(), version: z.int() });
const confirmationsSchema = z.object({
  agents: z.array(z.object({ name: z.string(), confirmedAfterMs: z.number().nullable() })),
});
const totalsSchema = z.object({ totals: z.object({ windows: z.number() }) });

/** What a simulation asks of the control plane besides what its agents do. */
export class ControlApi {
  readonly #base: string;
  readonly #token: string;

  constructor(base: string, token: string) {
    this.#base = base;
    this.#token = token;
  }

  async joinToken(labels: Record<string, string>): Promise<string> {
    const body = { labels, ttlMs: 900_000 };
    return tokenSchema.parse(await this.#json('POST', '/api/v1/join-tokens', body)).token;
  }

  /** An artifact with a token of one of the agents. */
  async artifact(digest: string, downloadToken: string): Promise<Uint8Array> {
    const answer = await this.#fetch('GET', `/api/v1/artifacts/${digest}`, null, downloadToken);
    return new Uint8Array(await answer.arrayBuffer());
  }

  async deployedVersion(deployment: string): Promise<number> {
    const path = `/api/v1/deployments/${encodeURIComponent(deployment)}`;
    return deploymentSchema.parse(await this.#json('GET', path, null)).version;
  }

  /** The newest generation of the change that takes the deployment to `version`. */
  async rollback(deployment: string, version: number): Promise<number> {
    const path = `/api/v1/deployments/${encodeURIComponent(deployment)}/rollback`;
    const reason = 'driftline simulate';
    const body = { reason, to: version };
    return rollbackSchema.parse(await this.#json('POST', path, body)).generation;
  }

  /** Of hosts whose names begin so, the time from the request to the report, by the control plane's clock; ascending. */
  async confirmedAfterMs(
    deployment: string,
    generation: number,
    prefix: string,
  ): Promise<readonly number[]> {
    const query = new URLSearchParams({ generation: String(generation), waitMs: '10000' });
    const path = `/api/v1/deployments/${encodeURIComponent(deployment)}/confirmations?${query}`;
    const { agents } = confirmationsSchema.parse(await this.#json('GET', path, null));
    return agents
      .flatMap(({ name, confirmedAfterMs }) =>
        name.startsWith(prefix) && confirmedAfterMs !== null ? [confirmedAfterMs] : [],
      )
      .sort((a, b) => a - b);
  }

  /** Windows merged of the hosts with this label, since `fromMs`. */
  async mergedWindows(deployment: string, label: string, fromMs: number): Promise<number> {
    const query = new URLSearchParams({
      ...{ from: String(fromMs), to: String(Date.now() + 86_400_000) },
      ...{ include: 'windows', label },
    });
    const path = `/api/v1/deployments/${encodeURIComponent(deployment)}/monitoring?${query}`;
    return totalsSchema.parse(await this.#json('GET', path, null)).totals.windows;
  }

  /** One gauge or counter of `/metrics` by its series; null where there is none. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const answer = await this.#fetch('GET', '/metrics', null, this.#token);
    const lines = (await answer.text()).split('\n').filter((line) => !line.startsWith('#'));
    return new Map(
      lines.flatMap((line) => {
        const at = line.lastIndexOf(' ');
        return at === -1 ? [] : [[line.slice(0, at), Number(line.slice(at + 1))]];
      }),
    );
  }

  async #json(method: string, path: string, body: unknown): Promise<unknown> {
    return (await this.#fetch(method, path, body, this.#token)).json();
  }

  async #fetch(method: string, path: string, body: unknown, token: string): Promise<Response> {
    const answer = await fetch(new URL(path, this.#base), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        // A process that is busy with thousands of agents would send on connections that were closed meanwhile.
        connection: 'close',
      },
      body: body === null ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (answer.ok) return answer;
    const said = (await answer.text()).slice(0, 300);
    throw new AgentError('simulation', `${method} ${path}: ${answer.status} ${said}`);
  }
}
