import type { AuditEvent } from '../audit/record.ts';
import type { Context } from './context.ts';
import { table } from './terminal.ts';
import { parseInteger, showTime } from './values.ts';

const PAGE = 500;

/** The last events, oldest of them first, as they are in the record. */
export async function auditList({ client, terminal }: Context, limit: string): Promise<void> {
  const wanted = parseInteger('--limit', limit, 1, 100_000);
  const events: AuditEvent[] = [];
  let after: string | null = '0';
  while (after !== null) {
    const path: string = `/api/v1/audit?after=${after}&limit=${PAGE}`;
    const page: { items: AuditEvent[]; next: string | null } = await client.get(path);
    events.push(...page.items);
    events.splice(0, Math.max(0, events.length - wanted));
    after = page.next;
  }
  terminal.result(events);
  const rows = events.map((event) => [
    String(event.sequence),
    showTime(event.at),
    event.actor.replace(/^token:/, ''),
    terminal.paint('bold', event.action),
    event.subject.replace(/(sha256:[0-9a-f]{12})[0-9a-f]+/, '$1'),
  ]);
  if (rows.length > 0) terminal.say(table(rows));
}
