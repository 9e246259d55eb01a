import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import { describe } from '../../../protocol/wire.ts';
import { messageOf } from '../../error.ts';
import type { EngineHost } from '../host.ts';
import { LABEL_STATUSES, type LabelResult, type PostedLabel } from '../posted-label.ts';
import { OipError } from './oip-error.ts';

/** Labels of one request: some tens of milliseconds of the host. */
export const MAX_POSTED_LABELS = 10_000;
/** So many labels, and ids of a usual length. */
const MAX_FEEDBACK_BYTES = 4 * 1024 * 1024;
/** A batch has no more rows in any model that Node can answer. */
const MAX_ROW = 2 ** 31 - 1;

const truthSchema = z.union([z.string().min(1).max(1024), z.number(), z.boolean()]);

const itemSchema = z
  .strictObject({
    /** Of the answer, from its `parameters`. */
    decision_id: z.string().min(1).max(256).optional(),
    /** That the caller gave with the request: its `id`, or the parameter `driftline_id`. */
    id: z.union([z.string().min(1).max(1024), z.number()]).optional(),
    row: z.int().min(0).max(MAX_ROW).optional(),
    /** A list has one label for each row of the request, from its first on. */
    label: z.union([truthSchema, z.array(truthSchema).min(1).max(MAX_POSTED_LABELS)]),
  })
  .refine((item) => (item.decision_id === undefined) !== (item.id === undefined), {
    message: 'give "decision_id" or "id", one of them',
  })
  .refine((item) => item.row === undefined || !Array.isArray(item.label), {
    message: 'a list of labels starts at row 0: leave "row" out',
  });

const itemsSchema = z.array(itemSchema).min(1).max(MAX_POSTED_LABELS);

/**
 * `POST /v2/models/{d}/feedback`: labels for answers of this host. Whatever becomes of each of them, the answer is 200
 * and says so, label by label; only what cannot be read is refused as a whole.
 */
export function addFeedbackRoute(app: Hono, server: { readonly host: EngineHost | null }): void {
  const limit = bodyLimit({
    maxSize: MAX_FEEDBACK_BYTES,
    onError: () => {
      throw new OipError('body_too_large', `feedback has at most ${MAX_FEEDBACK_BYTES} bytes`);
    },
  });
  app.post('/v2/models/:model/feedback', limit, async (c) => {
    const labels = parseFeedback(await c.req.text());
    const results = await ask(server.host, c.req.param('model') ?? '', labels);
    return c.json({
      ...totalsOf(results),
      results: labels.map((label, at) => view(label, results[at])),
    });
  });
  app.all('/v2/models/:model/feedback', wrongMethod);
}

/** One label, a list of them, or a list under "labels". Throws `OipError` 'bad_request'. */
export function parseFeedback(text: string): PostedLabel[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`the body is not JSON: ${messageOf(cause)}`);
  }
  const parsed = itemsSchema.safeParse(listOf(value));
  if (!parsed.success) {
    throw bad(
      `the body must be {"decision_id": "…", "label": 1}, or a list of such under "labels": ${describe(parsed.error)}`,
    );
  }
  const labels = parsed.data.flatMap(({ decision_id, id, row = 0, label }): PostedLabel[] => {
    const by = decision_id === undefined ? 'caller' : 'decision';
    const name = decision_id ?? String(id);
    const truths = Array.isArray(label) ? label : [label];
    return truths.map((truth, at) => ({ by, id: name, row: row + at, label: truth }));
  });
  if (labels.length > MAX_POSTED_LABELS) {
    throw bad(`${labels.length} labels in one request; send at most ${MAX_POSTED_LABELS}`);
  }
  return labels;
}

function listOf(value: unknown): unknown {
  if (Array.isArray(value)) return value;
  const isObject = typeof value === 'object' && value !== null;
  return isObject && 'labels' in value ? value.labels : [value];
}

async function ask(
  host: EngineHost | null,
  deployment: string,
  labels: readonly PostedLabel[],
): Promise<readonly LabelResult[]> {
  if (host === null) throw new OipError('not_ready', 'this engine is alone and keeps no decisions');
  const answer = await host.ask({ kind: 'feedback', deployment, labels }).catch((cause) => {
    const told = `the labels may not have been taken; send them again: ${messageOf(cause)}`;
    throw new OipError('overloaded', told, { cause, retryAfterSeconds: 1 });
  });
  if (answer.kind === 'refused') throw new OipError(answer.code, answer.message);
  if (answer.kind === 'feedback') return answer.results;
  throw new OipError('model_failed', `the host answered labels with "${answer.kind}"`);
}

function totalsOf(results: readonly LabelResult[]): Record<string, number> {
  return Object.fromEntries(
    LABEL_STATUSES.map((status) => [
      status,
      results.filter((result) => result.status === status).length,
    ]),
  );
}

function view({ by, id, row }: PostedLabel, { status, windowStartMs, detail }: LabelResult) {
  return {
    ...(by === 'decision' ? { decision_id: id } : { id }),
    row,
    status,
    ...(windowStartMs === undefined ? {} : { window_start_ms: windowStartMs }),
    ...(detail === undefined ? {} : { detail }),
  };
}

function wrongMethod(c: Context): Response {
  const error = new OipError('wrong_method', `feedback takes POST, not ${c.req.method}`);
  const headers = { 'content-type': 'application/json', allow: 'POST' };
  return c.body(error.body, error.status as ContentfulStatusCode, headers);
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
