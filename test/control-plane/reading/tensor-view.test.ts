import { describe, expect, test } from 'vitest';
import type { MonitorShape } from '../../../control-plane/decide/drift-monitor.ts';
import { DEFAULT_LIMITS } from '../../../control-plane/reading/fairness-view.ts';
import { PeriodView } from '../../../control-plane/reading/period-view.ts';
import { renderReport } from '../../../control-plane/report/render.ts';
import { windowGrids } from '../../../protocol/profile.ts';
import { emptyWindow } from '../../../protocol/sketch/window.ts';
import { counted, images, profileOf } from '../../support/image-baseline.ts';
import { reportData } from '../../support/report-data.ts';

describe('images of a period against their baseline', () => {
  async function period(later: Parameters<typeof counted>[1]) {
    const { profile, manifest } = await profileOf(images(600));
    const [watched] = profile.tensors ?? [];
    const grids = windowGrids(manifest, profile);
    const shape: MonitorShape = {
      ...{ grids, features: [], predicts: false, reference: profile.reference },
      tensors: profile.tensors ?? [],
    };
    const tensors = [counted(watched, later)];
    const window = { ...emptyWindow(grids), rows: later.shape[0], tensors };
    const view = new PeriodView(shape, [], new Set(['features']), null, DEFAULT_LIMITS);
    view.addPoint(1000, window);
    return view.sections(window, 60_000);
  }

  test('that are like it are fine, and so says the page', async () => {
    const { verdict, tensors } = await period(images(400));
    expect(verdict).toBe('ok');
    expect(tensors?.[0]).toMatchObject({ name: 'x', verdict: 'ok', rows: { current: 400 } });
    expect(tensors?.[0].points).toMatchObject([{ startMs: 1000, rows: 400 }]);
  });

  test('that are dark are an alert by their brightness, with each measure as a feature', async () => {
    const { verdict, tensors } = await period(images(400, { dim: 0.5 }));
    expect(verdict).toBe('alert');
    const [x] = tensors ?? [];
    expect(x).toMatchObject({ name: 'x', verdict: 'alert' });
    expect(x.effect).toBeGreaterThanOrEqual(Math.max(x.cloud, x.centroids));
    const brightness = x.measures.find(({ name }) => name === 'brightness');
    expect(brightness?.verdict).toBe('alert');
    expect(brightness?.mean?.current).toBeLessThan(0.7 * (brightness?.mean?.reference ?? 0));
    expect(x.measures.map(({ name }) => name)).toContain('reconstruction');
  });

  test('that are few are not enough', async () => {
    const { verdict, tensors } = await period(images(150, { dim: 0.5 }));
    expect([verdict, tensors?.[0].verdict]).toEqual(['insufficient', 'insufficient']);
  });

  test('are what the page says of a version without columns: never that nothing is wrong', async () => {
    const { tensors } = await period(images(400, { fog: 0.6 }));
    const shown = (tensors ?? []).map((one) => ({
      ...one,
      measures: one.measures.map((each) => ({ ...each, reason: null, plot: null, points: [] })),
    }));
    const page = renderReport(reportData({ verdict: 'alert', features: [], tensors: shown }));
    expect(page).toContain('Something is wrong: drift');
    expect(page).toContain('id="tensors"');
    expect(page).not.toContain('Nothing was compared');
  });
});
