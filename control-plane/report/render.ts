import { fairnessSection } from './fairness-section.ts';
import { featureSection } from './feature-section.ts';
import { html } from './html.ts';
import { notesSection } from './notes-section.ts';
import { operationsSection } from './operations-section.ts';
import { page } from './page-shell.ts';
import { performanceSection } from './performance-section.ts';
import { qualitySection } from './quality-section.ts';
import type { ReportData } from './report-data.ts';
import { summary } from './summary.ts';
import { tensorSection } from './tensor-section.ts';

/**
 * A report as one HTML document that needs nothing else: no script, nothing loaded, every name escaped. About 8 KB for
 * each feature. REPORT.md says how to read it.
 */
export function renderReport(data: ReportData): string {
  return page(
    `${data.title}: monitoring report`,
    html`${summary(data)}
      <main>
        ${featureSection(data)}
        ${tensorSection(data)}
        ${qualitySection(data)}
        ${performanceSection(data)}
        ${fairnessSection(data)}
        ${operationsSection(data)}
        ${notesSection(data)}
      </main>
      <footer>Made by Driftline. Intervals are 95 % unless said otherwise. An interval that lies on both sides of a limit
 is an answer, too: the data do not tell.</footer>`,
  );
}
