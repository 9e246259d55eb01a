import type { AlertRow } from '../store/alerts.ts';
import type { Transition } from '../store/deliveries.ts';

/** What is told of one transition of an alert. */
export interface Message {
  readonly title: string;
  readonly summary: string;
  readonly link: string;
  readonly event: string;
  readonly alert: AlertRow | null;
}

/** Evidence beyond this stays behind the link: Slack and mail readers cut it anyhow. */
const MAX_SUMMARY = 1500;

export function messageOf(alert: AlertRow, transition: Transition, link: string): Message {
  const { detail, deployment, kind } = alert;
  const severity = typeof detail.severity === 'string' ? ` (${detail.severity})` : '';
  return {
    title: oneLine(`${kind}${severity} of ${deployment}: ${transition}`),
    summary: summaryOf(detail).slice(0, MAX_SUMMARY),
    link,
    event: `alert.${transition}`,
    alert,
  };
}

export function testMessage(link: string): Message {
  const summary = 'A test of this channel: nothing has happened.';
  return { title: 'Driftline test message', summary, link, event: 'channel.test', alert: null };
}

/** What moved, as far as the alert tells: its reason, or its streams. */
function summaryOf(detail: Record<string, unknown>): string {
  if (typeof detail.reason === 'string') return detail.reason;
  const streams: unknown[] = Array.isArray(detail.streams) ? detail.streams : [];
  const lines = streams.map((stream) =>
    typeof stream === 'object' && stream !== null ? lineOf({ ...stream }) : '',
  );
  return [`${String(detail.rows ?? 'unknown')} rows`, ...lines].filter(Boolean).join('\n');
}

function lineOf(stream: Record<string, unknown>): string {
  const figures = Object.entries(stream).flatMap(([name, value]) =>
    typeof value === 'number' ? [`${name} ${Number(value.toPrecision(4))}`] : [],
  );
  return `${String(stream.stream)}: ${figures.join(', ')}`;
}

/** The body of a signed webhook. */
export function webhookBody(message: Message, messageId: string, atMs: number): string {
  const { event: type, alert, link, title, summary } = message;
  const timestamp = new Date(atMs).toISOString();
  return JSON.stringify({ type, timestamp, data: { id: messageId, title, summary, link, alert } });
}

/** An incoming webhook of Slack, and of what imitates it. */
export function slackBody(message: Message): string {
  const title = escapeSlack(message.title);
  const summary = escapeSlack(message.summary);
  const text = `*${title}*\n${summary}\n<${message.link}|Evidence>`;
  // `text` alone is what notifications and Slack's imitators show.
  return JSON.stringify({
    text: `${title}: ${summary}`,
    blocks: [{ type: 'section', text: { type: 'mrkdwn', text } }],
  });
}

/** Slack's three control characters: a feature's name can't become a link or a call to everybody. */
function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 200);
}
