import type { AlertView, ShownAlert } from '../http/alerts.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { table } from './terminal.ts';
import { parseDuration, parseInteger, showTime } from './values.ts';

function pathOf(id: string): string {
  return `/api/v1/alerts/${parseInteger('the alert', id, 1, Number.MAX_SAFE_INTEGER)}`;
}

/** One alert, a link to its evidence and to whom it was told. */
export async function alertShow({ client, terminal }: Context, id: string): Promise<void> {
  const alert = await client.get<ShownAlert>(pathOf(id));
  terminal.result(alert);
  terminal.say(`${terminal.paint('bold', alert.kind)} of ${alert.deployment}`);
  terminal.say(`evidence: ${alert.link}`);
  const rows = alert.deliveries.map((one) => [
    showTime(one.createdAt),
    one.channel,
    one.transition,
    terminal.paint(one.state === 'failed' ? 'red' : 'dim', one.state),
    `${one.attempts} attempts${one.failure === null ? '' : `: ${one.failure}`}`,
  ]);
  if (rows.length > 0) terminal.say(table(rows));
}

export async function alertAck({ client, terminal }: Context, id: string): Promise<void> {
  const alert = await client.post<AlertView>(`${pathOf(id)}/acknowledge`);
  terminal.result(alert);
  terminal.say(`alert ${id} is acknowledged by ${alert.acknowledgedBy}`);
}

export async function alertSilence(
  { client, terminal }: Context,
  id: string,
  options: { for?: string; reason?: string; off?: boolean },
): Promise<void> {
  if (options.off === true) {
    const alert = await client.delete<AlertView>(`${pathOf(id)}/silence`);
    terminal.result(alert);
    terminal.say(`alert ${id} is no longer silenced`);
    return;
  }
  if (options.for === undefined || options.reason === undefined) {
    throw new CliError('usage', 'a silence has an end and a reason: --for 4h --reason "..."');
  }
  const forMs = parseDuration('--for', options.for);
  const body = { forMs, reason: options.reason };
  const alert = await client.post<AlertView>(`${pathOf(id)}/silence`, body);
  terminal.result(alert);
  terminal.say(`alert ${id} is silenced until ${showTime(alert.silencedUntil ?? 0)}`);
}
