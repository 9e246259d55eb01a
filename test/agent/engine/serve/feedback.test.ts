import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_POSTED_LABELS } from '../../../../agent/engine/serve/feedback.ts';
import { decodeWindow } from '../../../../protocol/sketch/codec.ts';
import { type LabelHost, startLabelHost } from '../../../support/label-host.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

const numbers = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]);
const classes = identityModel([{ name: 'x', datatype: 'INT64', shape: [-1] }]);
const place = { tensor: 'x_out', index: 0 };

let host: LabelHost;
beforeAll(async () => {
  host = await startLabelHost({
    binary: {
      spec: numbers,
      manifest: {
        prediction: { ...place, kind: 'score', positive: 'deny' },
        label: { classes: ['approve', 'deny'] },
      },
    },
    classes: { spec: classes, manifest: { prediction: { ...place, kind: 'label' } } },
    value: { spec: numbers, manifest: { prediction: { ...place, kind: 'value' } } },
    nothing: { spec: numbers, manifest: {} },
  });
});
afterAll(() => host.stop());

interface Result {
  readonly status: string;
  readonly row: number;
  readonly detail?: string;
  readonly window_start_ms?: number;
}
interface Feedback extends Record<string, unknown> {
  readonly results: readonly Result[];
}

async function post(model: string, body: unknown) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${host.url}/v2/models/${model}/feedback`, {
    method: 'POST',
    body: text,
  });
  const said = (await response.json()) as Feedback & { error?: string };
  return { status: response.status, said };
}
const statuses = async (model: string, labels: unknown) =>
  (await post(model, { labels })).said.results.map(({ status }) => status);

/** The id of an answer for these rows, whose rows are remembered by then. */
async function ask(model: string, data: readonly number[], names: object = {}): Promise<string> {
  const datatype = model === 'classes' ? 'INT64' : 'FP32';
  const shape = model === 'classes' ? [data.length] : [data.length, 1];
  const response = await fetch(`${host.url}/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify({ ...names, inputs: [{ name: 'x', datatype, shape, data }] }),
  });
  const answer = (await response.json()) as { parameters: { decision_id: string } };
  host.remember();
  return answer.parameters.decision_id;
}

describe('labels over HTTP', () => {
  it('are joined row by row, once; the first stays, and the answer says of each what became of it', async () => {
    const id = await ask('binary', [0.9, 0.1, 0.2]);
    const labels = [
      { decision_id: id, label: ['deny', 'approve'] },
      { decision_id: id, row: 0, label: 1 },
      { decision_id: id, row: 0, label: false },
      { decision_id: id, row: 2, label: 'perhaps' },
      { decision_id: id, row: 3, label: 1 },
      { decision_id: 'not-one', label: 1 },
    ];
    const { status, said } = await post('binary', { labels });
    expect(status).toBe(200);
    expect(said.results.map((one) => [one.row, one.status])).toEqual([
      ...[
        [0, 'joined'],
        [1, 'joined'],
        [0, 'duplicate'],
        [0, 'conflicting'],
      ],
      ...[
        [2, 'invalid'],
        [3, 'unknown'],
        [0, 'unknown'],
      ],
    ]);
    expect(said).toMatchObject({ joined: 2, duplicate: 1, conflicting: 1, invalid: 1, unknown: 2 });
    expect(said.expired).toBe(0);
    const [first, , , conflicting, invalid, , text] = said.results;
    expect((first.window_start_ms ?? 1) % 60_000).toBe(0);
    expect(conflicting.detail).toBe('the first label stays: 1');
    expect(invalid.detail).toContain('"approve", "deny"');
    expect(text.detail).toContain('is no decision id');
  });

  it('that contradict change no count: one window, of labels only, holds what was joined', async () => {
    const id = await ask('binary', [0.8]);
    await host.desk.send();
    const before = host.windows.length;
    await statuses('binary', [
      { decision_id: id, label: 1 },
      { decision_id: id, label: 0 },
    ]);
    await host.desk.send();
    const windows = host.windows.slice(before);
    expect(windows.map(({ deployment }) => deployment)).toEqual(['binary']);
    const { outcome, rows, requests } = decodeWindow(windows[0].body);
    expect([rows, requests]).toEqual([0, 0]);
    expect(outcome?.labels).toMatchObject({ joined: 1, duplicate: 0, conflicting: 1 });
    // n positives score scoreSquares | tp fp fn tn: a positive that was right, and nothing else.
    expect([...(outcome?.groups.slice(4, 8) ?? [])]).toEqual([1, 0, 0, 0]);
  });

  it('name requests by the caller’s id, number or text, or by driftline_id before it', async () => {
    await ask('value', [1, 2], { id: 'mine' });
    await ask('value', [3], { id: 'theirs', parameters: { driftline_id: 77 } });
    expect(
      await statuses('value', [
        { id: 'mine', label: [1, 2.5] },
        { id: 77, label: 3 },
        { id: '77', label: 3 },
        { id: 'theirs', label: 3 },
      ]),
    ).toEqual(['joined', 'joined', 'joined', 'duplicate', 'unknown']);
  });

  it('wait for rows that have not been written down yet', async () => {
    expect(await statuses('value', [{ id: 'early', label: 4 }])).toEqual(['unknown']);
    await ask('value', [4], { id: 'early' });
    expect(await statuses('value', [{ id: 'early', label: 4 }])).toEqual(['duplicate']);
  });

  it('of a multiclass model may be any class, in text or as a number', async () => {
    const id = await ask('classes', [1, 2, 3]);
    const labels = [
      { decision_id: id, label: ['1', 3, 'never seen'] },
      { decision_id: id, row: 0, label: 1 },
      { decision_id: id, row: 2, label: 'another' },
    ];
    expect(await statuses('classes', labels)).toEqual([
      ...['joined', 'joined', 'joined'],
      ...['duplicate', 'conflicting'],
    ]);
  });

  it('of a regression are numbers that can be squared', async () => {
    const id = await ask('value', [1, 2, 3, 4]);
    const labels = [{ decision_id: id, label: ['1', true, 1e308, -2.5] }];
    expect(await statuses('value', labels)).toEqual(['invalid', 'invalid', 'invalid', 'joined']);
  });

  it('for a model without a prediction find no row', async () => {
    const id = await ask('nothing', [1]);
    expect(await statuses('nothing', [{ decision_id: id, label: 1 }])).toEqual(['unknown']);
  });
});

describe('feedback that is refused as a whole', () => {
  const item = { id: 'a', label: 1 };
  it.each([
    ['no JSON', '{"id": "a", "label": ', 'is not JSON'],
    ['nothing', '[]', 'labels'],
    ['deep nesting', '['.repeat(50_000), 'is not JSON'],
    ['both kinds of id', { ...item, decision_id: 'b' }, 'one of them'],
    ['neither', { label: 1 }, 'one of them'],
    ['a list at a row', { ...item, row: 1, label: [1] }, 'leave "row" out'],
    ['a row below 0', { ...item, row: -1 }, 'row'],
    ['a label that is none', { ...item, label: null }, 'label'],
    ['a misspelt field', { ...item, lable: 2 }, 'lable'],
    ['an id too long', { ...item, id: 'a'.repeat(1025) }, 'id'],
    ['a number too large', '{"id":"a","label":1e999}', 'label'],
  ])('%s is 400', async (_, body, words) => {
    const { status, said } = await post('binary', body);
    expect([status, said.error]).toEqual([400, expect.stringContaining(words)]);
  });

  it(`more than ${MAX_POSTED_LABELS} labels are 400, however they are listed; so many are taken`, async () => {
    const list = (length: number) => ({ id: 'many', label: new Array<number>(length).fill(1) });
    const many = await post('binary', list(MAX_POSTED_LABELS));
    expect([many.status, many.said.unknown]).toEqual([200, MAX_POSTED_LABELS]);
    expect((await post('binary', list(MAX_POSTED_LABELS + 1))).status).toBe(400);
    const { status, said } = await post('binary', [list(MAX_POSTED_LABELS), item]);
    expect([status, said.error]).toEqual([400, expect.stringContaining('10001 labels')]);
  });

  it('a body above 4 MiB is 413, an unknown model 404, another method 405', async () => {
    expect((await post('binary', ' '.repeat(4 * 1024 * 1024 + 1))).status).toBe(413);
    expect((await post('elsewhere', item)).status).toBe(404);
    const got = await fetch(`${host.url}/v2/models/binary/feedback`);
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
  });
});
