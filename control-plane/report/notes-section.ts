import { type Html, html } from './html.ts';
import type { ReportData } from './report-data.ts';

export function notesSection({ notes }: ReportData): Html | null {
  if (notes.length === 0) return null;
  return html`<section id="notes"><h2>Notes</h2><ul>${notes.map((note) => html`<li><bdi>${note}</bdi></li>`)}</ul></section>`;
}
