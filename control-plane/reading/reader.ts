import type { Digest } from '../../protocol/ids.ts';
import { monitoringInForce } from '../../protocol/monitoring.ts';
import { decodeWindow } from '../../protocol/sketch/codec.ts';
import { SketchError } from '../../protocol/sketch/error.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import type { MonitorShape } from '../decide/drift-monitor.ts';
import { ControlError } from '../error.ts';
import type { MonitoringView } from '../http/monitoring-view.ts';
import { STORED_LIMITS } from '../merge/fold.ts';
import type { ReportData } from '../report/report-data.ts';
import type { Store } from '../store/database.ts';
import { type DeploymentRow, findDeployment } from '../store/deployments.ts';
import { findVersion, findVersionsByManifest } from '../store/models.ts';
import { countWindows, pointCounts, type WindowQuery, windowPages } from '../store/window-pages.ts';
import type { FairnessLimits } from './fairness-view.ts';
import { PeriodFold, type PeriodTotals } from './fold-period.ts';
import { hostsSection, MAX_FEATURE_POINTS, PeriodView, wantedFeatures } from './period-view.ts';
import { labelsOf, type MonitoringQuery, type Section, sectionsOf } from './query.ts';
import { type Judged, type JudgedPeriod, reportOf } from './report.ts';
import { type Period, periodOf } from './resolution.ts';

const HOUR_MS = 3_600_000;

/** A chart of a report is half a page wide. */
const REPORT_POINTS = 150;
const REPORT_SECTIONS: ReadonlySet<Section> = new Set<Section>([
  'features',
  'operations',
  'fairness',
  'performance',
]);

/** Stored windows that one answer may add up: some seconds of work, and nobody waits longer. */
export const MAX_WINDOWS_READ = 100_000;

type ShapeOf = (manifest: Digest) => Promise<MonitorShape | null>;
type Scope = Omit<WindowQuery, 'manifest'>;

/** Answers what one asks of a deployment's telemetry. Reads only. */
export class PeriodReader {
  readonly #store: Store;
  readonly #shapeOf: ShapeOf;

  constructor(store: Store, shapeOf: ShapeOf) {
    this.#store = store;
    this.#shapeOf = shapeOf;
  }

  /**
   * @throws ControlError `not-found` without such a deployment or version, `invalid` when the answer would be too
   *   large or names an unknown feature, `unavailable` when the version is gone
   */
  async read(name: string, query: MonitoringQuery, now: number): Promise<MonitoringView> {
    const { deployment, manifest, version, scope } = await this.#asked(name, query, now);
    const { fromMs: from, toMs: to } = scope;
    const period = periodOf(from, to, query.resolution, deployment.windowMs);
    const wanted = sectionsOf(query);
    const { fairness } = monitoringInForce(deployment.monitoring);
    const base = { deployment: name, model: deployment.model, version, manifest, from, to };
    const listed = await this.#windows(scope, period.stepMs);
    const onlyCounts = [...wanted].every((section) => section === 'windows');
    const judged = onlyCounts
      ? NOTHING_JUDGED
      : (await this.#judge({ ...scope, manifest }, period, query, wanted, fairness)).judged;
    const windows = wanted.has('windows') ? listed.windows : [];
    return { ...base, resolutionMs: period.stepMs, windows, totals: listed.totals, ...judged };
  }

  /**
   * The same period with what pictures need besides: both sides' bins, and intervals of all distances. At most
   * REPORT_POINTS points, fewer where there are many features.
   *
   * @throws ControlError as `read` does
   */
  async report(name: string, query: MonitoringQuery, now: number): Promise<ReportData> {
    const { deployment, manifest, version, scope } = await this.#asked(name, query, now);
    const { features } = await this.#shape(scope.deployment, manifest);
    const columns = 1 + (query.feature ?? features).length;
    const points = Math.min(REPORT_POINTS, Math.floor(MAX_FEATURE_POINTS / columns));
    const period = periodOf(
      scope.fromMs,
      scope.toMs,
      query.resolution,
      deployment.windowMs,
      points,
    );
    const { fairness } = monitoringInForce(deployment.monitoring);
    const stored = { ...scope, manifest };
    const folded = await this.#judge(stored, period, query, REPORT_SECTIONS, fairness);
    const { model } = deployment;
    return reportOf({ ...folded, ...{ deployment: name, model, version, period, query, now } });
  }

  /** What a question is about. */
  async #asked(name: string, query: MonitoringQuery, now: number) {
    const deployment = await findDeployment(this.#store.read, name);
    if (deployment === null) throw new ControlError('not-found', `no deployment "${name}"`);
    const { to = now + 1, from = Math.max(0, to - HOUR_MS) } = query;
    const { manifest, version } = await this.#version(deployment, query);
    const hosts = { agents: query.agent ?? [], labels: labelsOf(query) };
    const scope = { deployment: name, fromMs: from, toMs: to, arm: query.arm ?? null, hosts };
    return { deployment, manifest, version, scope };
  }

  async #shape(deployment: string, manifest: Digest): Promise<MonitorShape> {
    const shape = await this.#shapeOf(manifest);
    if (shape !== null) return shape;
    throw new ControlError('unavailable', `the version of "${deployment}" is gone`);
  }

  async #version(deployment: DeploymentRow, query: MonitoringQuery) {
    const { model } = deployment;
    const version = query.version ?? deployment.version;
    const row = await findVersion(this.#store.read, model, version);
    if (row !== null) return row;
    const kind = query.version === undefined ? 'unavailable' : 'not-found';
    throw new ControlError(kind, `there is no ${model}@${version}`);
  }

  /** Counts of all versions: what `totals` has always been. */
  async #windows(scope: Scope, stepMs: number) {
    const counted = await pointCounts(this.#store.read, scope, stepMs);
    const manifests = [...new Set(counted.map((row) => row.manifest))];
    const versions = await findVersionsByManifest(this.#store.read, manifests);
    const versionOf = new Map(versions.map((row) => [row.manifest, row.version]));
    const totals = { windows: 0, requests: 0, rows: 0, errors: 0 };
    const windows = counted.flatMap(({ parts, ...row }) => {
      const version = versionOf.get(row.manifest);
      if (version === undefined) return [];
      totals.windows += parts;
      totals.requests += row.requests;
      totals.rows += row.rows;
      totals.errors += row.errors;
      return [{ ...row, windowMs: stepMs, version }];
    });
    return { windows, totals };
  }

  async #judge(
    stored: WindowQuery,
    period: Period,
    query: MonitoringQuery,
    wanted: ReturnType<typeof sectionsOf>,
    limits: FairnessLimits,
  ): Promise<JudgedPeriod> {
    const shape = await this.#shape(stored.deployment, stored.manifest);
    const features = wantedFeatures(shape, query.feature);
    const view = new PeriodView(shape, features, wanted, query.group ?? null, limits);
    const onPoint = (startMs: number, window: WindowSketch) => view.addPoint(startMs, window);
    const apart = wanted.has('hosts');
    const { totals, skipped } = await this.#fold(shape, stored, period, onPoint, apart);
    const sections = view.sections(totals.total, period.toMs - period.fromMs);
    const hosts = apart
      ? hostsSection(shape, features, await this.#before(shape, stored, period), totals)
      : null;
    return { judged: { ...sections, hosts, skipped }, shape, features, total: totals.total };
  }

  /** The span of the same length before. */
  async #before(shape: MonitorShape, stored: WindowQuery, period: Period): Promise<PeriodTotals> {
    const fromMs = Math.max(0, 2 * period.fromMs - period.toMs);
    const earlier = { ...period, fromMs, toMs: period.fromMs };
    const query = { ...stored, fromMs, toMs: period.fromMs };
    return (await this.#fold(shape, query, earlier, () => undefined, true)).totals;
  }

  async #fold(
    shape: MonitorShape,
    stored: WindowQuery,
    period: Period,
    onPoint: (startMs: number, window: WindowSketch) => void,
    hostsApart: boolean,
  ): Promise<{ readonly totals: PeriodTotals; readonly skipped: number }> {
    const count = await countWindows(this.#store.read, stored, period.stepMs);
    if (count > MAX_WINDOWS_READ) {
      throw new ControlError(
        'invalid',
        `${count} stored windows between ${stored.fromMs} and ${stored.toMs}, at most ${MAX_WINDOWS_READ} are added up: ask for a shorter span, fewer hosts, or include=windows`,
      );
    }
    const fold = new PeriodFold(shape.grids, period, onPoint, hostsApart);
    let skipped = 0;
    for await (const page of windowPages(this.#store.read, stored, period.stepMs)) {
      for (const { agentId, windowStartMs, body } of page) {
        try {
          const window = decodeWindow(body, STORED_LIMITS);
          fold.add({ host: agentId, startMs: windowStartMs, window });
        } catch (error) {
          // One damaged row, or one of another build, must not hide all others: it is counted.
          if (!(error instanceof SketchError)) throw error;
          skipped += 1;
        }
      }
    }
    return { totals: fold.end(), skipped };
  }
}

const NOTHING_JUDGED: Judged = {
  verdict: null,
  features: null,
  prediction: null,
  tensors: null,
  operations: null,
  fairness: null,
  performance: null,
  hosts: null,
  skipped: 0,
};
