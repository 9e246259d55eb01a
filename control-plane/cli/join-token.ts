import type { Context } from './context.ts';
import { parseDuration, parseLabels, showTime } from './values.ts';

export interface JoinTokenOptions {
  readonly label: readonly string[];
  readonly ttl: string;
  readonly requireApproval?: boolean;
  readonly jurisdiction?: string;
}

export async function joinToken({ client, terminal }: Context, options: JoinTokenOptions) {
  const body = {
    labels: parseLabels('--label', options.label),
    ttlMs: parseDuration('--ttl', options.ttl),
    requireApproval: options.requireApproval === true,
    jurisdiction: options.jurisdiction ?? null,
  };
  const made = await client.post<{ token: string; expiresAt: number }>('/api/v1/join-tokens', body);
  terminal.result(made);
  terminal.say(`one agent can join with this until ${showTime(made.expiresAt)}:\n`);
  terminal.say(`  driftline agent --control ${client.url} --join ${made.token}`);
}
