import type { AlertView } from '../http/alerts.ts';
import type { Context } from './context.ts';
import { type Terminal, table } from './terminal.ts';
import { showTime } from './values.ts';

export async function alerts({ client, terminal }: Context, all: boolean): Promise<void> {
  const items = await client.list<AlertView>(all ? '/api/v1/alerts' : '/api/v1/alerts?open=true');
  terminal.result(items);
  sayAlerts(terminal, items);
}

export function sayAlerts(terminal: Terminal, alerts: readonly AlertView[]): void {
  if (alerts.length === 0) {
    terminal.say(terminal.paint('green', 'no open alerts'));
    return;
  }
  const rows = alerts.map((alert) => [
    `#${alert.id}`,
    showTime(alert.openedAt),
    alert.resolvedAt === null
      ? terminal.paint('red', alert.kind)
      : terminal.paint('dim', `${alert.kind} (resolved ${showTime(alert.resolvedAt)})`),
    alert.deployment,
    aboutOf(alert),
  ]);
  terminal.say(table(rows));
}

/** What moved, strongest first, as far as the alert tells. */
function aboutOf({ detail }: AlertView): string {
  if (typeof detail.reason === 'string') return detail.reason;
  const streams = (Array.isArray(detail.streams) ? detail.streams : []) as {
    stream: string;
    psiDebiased?: number;
    rate?: number;
  }[];
  return streams
    .sort((a, b) => (b.psiDebiased ?? 0) - (a.psiDebiased ?? 0))
    .map(({ stream, psiDebiased, rate }) => {
      const name = stream.replace(/^feature:/, '');
      if (psiDebiased !== undefined) return `${name} PSI ${psiDebiased.toFixed(2)}`;
      return rate === undefined ? name : `${name} ${(100 * rate).toFixed(1)} %`;
    })
    .join(', ');
}
