import { stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileOutcome } from '../offline/compare.ts';
import { DriftInputError } from '../offline/error.ts';
import type { ComparedFeature, FeatureResult } from '../offline/feature-result.ts';
import type { Outcome } from '../offline/outcome.ts';
import { reportData } from '../offline/report-data.ts';
import type { Verdict } from '../reading/feature-view.ts';
import { renderReport } from '../report/render.ts';
import { CliError } from './error.ts';
import { type Colour, type Terminal, table } from './terminal.ts';

export interface DriftFilesOptions {
  readonly reference: string;
  readonly current: string;
  readonly columns?: string;
  readonly ignore?: string;
  readonly delimiter?: string;
  readonly out?: string;
  readonly failOn?: string;
}

const COLOURS: Record<Verdict, Colour> = {
  ok: 'green',
  watch: 'yellow',
  alert: 'red',
  insufficient: 'dim',
};
const LOUDEST: readonly Verdict[] = ['alert', 'watch', 'insufficient', 'ok'];
/** Often enough to be seen moving. */
const PROGRESS_BYTES = 8 * 1024 * 1024;

/** Two files against each other. Resolves with the exit code: 1 only where --fail-on says so. */
export async function driftFiles(terminal: Terminal, options: DriftFilesOptions): Promise<number> {
  const failing = failingVerdicts(options.failOn);
  const outcome = await compared(terminal, options);
  const { report } = outcome;
  if (options.out !== undefined) await writePage(terminal, options.out, outcome, options);
  terminal.result(report);
  const { reference, current } = report.rows;
  terminal.say(
    `${terminal.paint('bold', basename(options.current))} against ${basename(options.reference)}: ${paint(terminal, report.verdict)}`,
  );
  terminal.say(terminal.paint('dim', `${current} rows against ${reference}\n`));
  terminal.say(featureTable(terminal, report.features.filter(isCompared)));
  for (const line of skippedLines(report.features)) terminal.say(terminal.paint('dim', line));
  for (const note of report.notes) terminal.say(`\nnote: ${note}`);
  if (report.verdict === 'insufficient') {
    terminal.say('\nnothing can be said: a verdict needs 200 rows on both sides');
  }
  return failing.includes(report.verdict) ? 1 : 0;
}

function failingVerdicts(text: string | undefined): readonly Verdict[] {
  if (text === undefined) return [];
  if (text === 'alert') return ['alert'];
  if (text === 'watch') return ['alert', 'watch'];
  throw new CliError('usage', `--fail-on is "${text}"; it must be alert or watch`);
}

async function compared(terminal: Terminal, options: DriftFilesOptions): Promise<Outcome> {
  const { reference, current, columns, ignore, delimiter } = options;
  let read = 0;
  let shown = 0;
  const total = await bytesOf([reference, current]);
  try {
    return await fileOutcome(reference, current, {
      columns: columns === undefined ? undefined : names(columns),
      ignore: ignore === undefined ? [] : names(ignore),
      delimiter: delimiter === 'tab' ? '\t' : delimiter,
      onBytes(bytes) {
        read += bytes;
        if (read - shown < PROGRESS_BYTES) return;
        shown = read;
        terminal.progress(`${megabytes(read)} MB read of files of ${megabytes(total)} MB`);
      },
    });
  } catch (cause) {
    if (!(cause instanceof DriftInputError)) throw cause;
    throw new CliError(cause.kind === 'options' ? 'usage' : 'failed', cause.message, { cause });
  } finally {
    terminal.progressDone();
  }
}

async function writePage(
  terminal: Terminal,
  path: string,
  outcome: Outcome,
  { reference, current }: DriftFilesOptions,
): Promise<void> {
  const page = renderReport(reportData(outcome, reference, current, Date.now()));
  await writeFile(path, page).catch((cause: Error) => {
    throw new CliError('failed', `--out ${path} can't be written: ${cause.message}`, { cause });
  });
  terminal.warn(`the report is in ${path}`);
}

/** The loudest first. */
function featureTable(terminal: Terminal, features: readonly ComparedFeature[]): string {
  const sorted = LOUDEST.flatMap((verdict) => features.filter((one) => one.verdict === verdict));
  const rows = sorted.map((feature) => [
    feature.name,
    feature.kind,
    ...figures(feature),
    paint(terminal, feature.verdict),
  ]);
  const head = ['column', 'kind', 'PSI', 'W1/σ', 'KS', 'missing', 'p (BH)', 'verdict'];
  return table([head.map((text) => terminal.paint('dim', text)), ...rows]);
}

function isCompared(feature: FeatureResult): feature is ComparedFeature {
  return feature.reason === null;
}

/** What was not compared, once for each reason. */
function skippedLines(features: readonly FeatureResult[]): string[] {
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of features) {
    if (reason !== null) byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  }
  return [...byReason].map(
    ([reason, columns]) => `\nnot compared: ${columns.join(', ')}\n  (${reason})`,
  );
}

function figures(feature: ComparedFeature): string[] {
  return [
    feature.debiasedPsi.toFixed(3),
    feature.wasserstein === null ? '' : feature.wasserstein.toFixed(2),
    feature.ks === null ? '' : feature.ks.toFixed(3),
    `${(feature.missing.current * 100).toFixed(1)} %`,
    feature.adjustedP.toPrecision(2),
  ];
}

function paint(terminal: Terminal, verdict: Verdict): string {
  return terminal.paint(COLOURS[verdict], verdict);
}

function names(text: string): string[] {
  return text.split(',').map((name) => name.trim());
}

async function bytesOf(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    // What can't be found is told when it is opened.
    paths.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
