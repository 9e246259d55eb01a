import type { AlertView } from './alerts.ts';

/** One alert with its evidence as a page: no script, no style, nothing from elsewhere; all text escaped. */
export function evidencePage(alert: AlertView): string {
  const title = escaped(`${alert.kind} of ${alert.deployment}`);
  const facts: readonly (readonly [string, string | null])[] = [
    ['Opened', showAt(alert.openedAt)],
    ['Resolved', showAt(alert.resolvedAt)],
    ['Acknowledged', showAt(alert.acknowledgedAt)],
    ['By', alert.acknowledgedBy],
    ['Silenced until', showAt(alert.silencedUntil)],
    ['Why', alert.silenceReason],
    ['Version', alert.manifest],
  ];
  const rows = facts.map(([name, value]) => row(name, value ?? '–')).join('');
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<h1>${title}</h1><table>${rows}</table><h2>Evidence</h2>${show(alert.detail)}</html>`;
}

function show(value: unknown): string {
  if (Array.isArray(value))
    return `<ol>${value.map((one) => `<li>${show(one)}</li>`).join('')}</ol>`;
  if (typeof value === 'object' && value !== null) {
    const rows = Object.entries(value).map(
      ([name, held]) => `<tr><th align="left">${escaped(name)}</th><td>${show(held)}</td></tr>`,
    );
    return `<table>${rows.join('')}</table>`;
  }
  return escaped(String(value));
}

function row(name: string, value: string): string {
  return `<tr><th align="left">${escaped(name)}</th><td>${escaped(value)}</td></tr>`;
}

function showAt(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? '');
}
