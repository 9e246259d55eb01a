import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ReportData } from '../report/report-data.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { parseDuration, parseMoment } from './values.ts';

const DEFAULT_SPAN = '24h';

export interface ReportOptions {
  readonly from?: string;
  readonly to?: string;
  readonly last?: string;
  readonly feature: readonly string[];
  readonly agent: readonly string[];
  readonly label: readonly string[];
  readonly out?: string;
}

/** Saves the report as the control plane makes it; with --json says its data instead. */
export async function report(
  { client, terminal }: Context,
  name: string,
  options: ReportOptions,
): Promise<void> {
  const query = queryOf(options, Date.now());
  const path = `/api/v1/deployments/${encodeURIComponent(name)}/report?${query}`;
  if (terminal.json) {
    terminal.result(await client.get<ReportData>(`${path}&format=json`));
    return;
  }
  const answer = await client.send('GET', `${path}&format=html`, {});
  if (answer.status !== 200) throw client.problem(answer);
  const out = options.out ?? `${name}-report.html`;
  await writeFile(out, answer.body).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('failed', `cannot write ${out}: ${why}\nname another file with --out`, {
      cause,
    });
  });
  const kilobytes = Math.ceil(Buffer.byteLength(answer.body) / 1000);
  terminal.say(`${terminal.paint('bold', resolve(out))}  ${kilobytes} kB, open it in a browser`);
}

function queryOf(options: ReportOptions, now: number): URLSearchParams {
  const { from, last, feature, agent, label } = options;
  if (from !== undefined && last !== undefined) {
    throw new CliError('usage', `--from ${from} and --last ${last} both say where to begin`);
  }
  const to = options.to === undefined ? now + 1 : parseMoment('--to', options.to, now);
  const begin =
    from === undefined
      ? Math.max(0, to - parseDuration('--last', last ?? DEFAULT_SPAN))
      : parseMoment('--from', from, now);
  const query = new URLSearchParams({ from: String(begin), to: String(to) });
  for (const one of feature) query.append('feature', one);
  if (agent.length > 0) query.set('agent', agent.join(','));
  if (label.length > 0) query.set('label', label.join(','));
  return query;
}
