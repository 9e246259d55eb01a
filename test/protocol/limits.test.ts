import { describe, expect, it } from 'vitest';
import { bytesSchema } from '../../protocol/bytes.ts';
import { detailSchema } from '../../protocol/error.ts';
import { guardSchema } from '../../protocol/guard.ts';
import { challengeMessageSchema } from '../../protocol/hello.ts';
import {
  agentIdSchema,
  bootIdSchema,
  digestSchema,
  featureNameSchema,
  labelsSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';
import { leaseSchema } from '../../protocol/lease.ts';
import {
  MAX_DETAIL_LENGTH,
  MAX_LABELS,
  MAX_LEASE_MS,
  MAX_NAME_LENGTH,
  MAX_REPORTED_ARMS,
  MAX_REPORTED_TRIPS,
  MAX_ROLE_KEYS,
  MAX_ROOTS,
  MAX_STATEMENT_BYTES,
  MAX_TUNING_ROWS,
  MAX_WINDOW_BYTES,
  MIN_LEASE_MS,
} from '../../protocol/limits.ts';
import { reportedDeploymentSchema, reportMessageSchema } from '../../protocol/report.ts';
import { telemetryMessageSchema } from '../../protocol/telemetry.ts';
import { signedSchema } from '../../protocol/trust/signed.ts';
import { tuningSchema } from '../../protocol/tuning.ts';
import { telemetry } from './messages.ts';

interface Schema {
  safeParse(value: unknown): { success: boolean };
}
const accepts = (schema: Schema, value: unknown) => schema.safeParse(value).success;

describe('LIMIT-3: a name', () => {
  it('is at most 128 characters', () => {
    expect(accepts(nameSchema, 'a'.repeat(MAX_NAME_LENGTH))).toBe(true);
    expect(accepts(nameSchema, 'a'.repeat(MAX_NAME_LENGTH + 1))).toBe(false);
  });

  it.each(['a', '0', 'Mortgage-v2.1_eu', 'a..b'])('may be %j', (name) => {
    expect(accepts(nameSchema, name)).toBe(true);
  });

  it.each(['', '.', '..', '.hidden', '-a', '_a', 'a/b', 'a\\b', 'a b', 'ä', 'a\n', 'a%2f', 'a\0'])(
    'is never %j',
    (name) => {
      expect(accepts(nameSchema, name)).toBe(false);
    },
  );
});

describe('LIMIT-4: a diagnosis', () => {
  it('is cut at its limit and never refused', () => {
    expect(detailSchema.parse('x'.repeat(MAX_DETAIL_LENGTH))).toHaveLength(MAX_DETAIL_LENGTH);
    expect(detailSchema.parse('x'.repeat(MAX_DETAIL_LENGTH + 1))).toHaveLength(MAX_DETAIL_LENGTH);
  });
});

describe('LIMIT-7: labels', () => {
  it('are at most 64', () => {
    const labels = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));
    expect(accepts(labelsSchema, labels(MAX_LABELS))).toBe(true);
    expect(accepts(labelsSchema, labels(MAX_LABELS + 1))).toBe(false);
  });

  it('have names for keys and short text for values', () => {
    expect(accepts(labelsSchema, { region: 'x'.repeat(MAX_NAME_LENGTH) })).toBe(true);
    expect(accepts(labelsSchema, { region: 'x'.repeat(MAX_NAME_LENGTH + 1) })).toBe(false);
    expect(accepts(labelsSchema, { '': 'x' })).toBe(false);
    expect(labelsSchema.parse(JSON.parse('{"__proto__":"x"}'))).toEqual({});
  });
});

describe('LIMIT-2: the body of a window', () => {
  it('is at most 512 KiB', () => {
    const of = (size: number) => telemetry({ body: new Uint8Array(size) });
    expect(accepts(telemetryMessageSchema, of(MAX_WINDOW_BYTES))).toBe(true);
    expect(accepts(telemetryMessageSchema, of(MAX_WINDOW_BYTES + 1))).toBe(false);
  });
});

describe('identifiers', () => {
  it.each<[string, Schema, unknown[], unknown[]]>([
    [
      'a digest',
      digestSchema,
      [`sha256:${'0f'.repeat(32)}`],
      [
        `sha256:${'0F'.repeat(32)}`,
        `sha256:${'0'.repeat(63)}`,
        `sha256:${'0'.repeat(65)}`,
        `sha256:${'0'.repeat(64)}\n`,
        '0'.repeat(64),
        `md5:${'0'.repeat(64)}`,
      ],
    ],
    [
      'an agent',
      agentIdSchema,
      [`agt_${'a'.repeat(24)}`],
      [`agt_${'a'.repeat(23)}`, `agt_${'a'.repeat(25)}`, `agt_${'g'.repeat(24)}`, 'agt_'],
    ],
    ['a boot', bootIdSchema, ['0123456789abcdef'], ['0123456789abcde', '0123456789abcdef0']],
    ['a version', versionNumberSchema, [1, 1e9], [0, 1e9 + 1, 1.5, '1', -1]],
    ['a time', timestampSchema, [0, 8.64e15], [-1, 8.64e15 + 2, 0.5, Number.NaN]],
    [
      'a feature',
      featureNameSchema,
      ['a', 'Loan to value (%)', 'x'.repeat(MAX_NAME_LENGTH), 'größe'],
      ['', 'a\nb', 'a\0', 'x'.repeat(MAX_NAME_LENGTH + 1)],
    ],
  ])('%s is what its schema says, at the limit and one past it', (_, schema, good, bad) => {
    for (const value of good) expect(accepts(schema, value), String(value)).toBe(true);
    for (const value of bad) expect(accepts(schema, value), String(value)).toBe(false);
  });

  it('bytes are counted', () => {
    expect(accepts(bytesSchema(4), new Uint8Array(4))).toBe(true);
    expect(accepts(bytesSchema(4), new Uint8Array(5))).toBe(false);
    expect(accepts(bytesSchema(4, true), new Uint8Array(4))).toBe(true);
    expect(accepts(bytesSchema(4, true), new Uint8Array(3))).toBe(false);
    for (const value of ['abcd', [1, 2, 3, 4], null, new ArrayBuffer(4)]) {
      expect(accepts(bytesSchema(4), value)).toBe(false);
    }
  });
});

describe('LIMIT-9: the table of a tuning', () => {
  it('has at least one row and at most 256', () => {
    const row = {
      placement: 'inline',
      workers: 0,
      intraOpThreads: 1,
      batchSize: 1,
      callUs: 10,
      rowsPerSecond: 1e5,
    };
    const tuning = (rows: number) => ({
      version: 1,
      manifest: `sha256:${'0'.repeat(64)}`,
      cores: 2,
      rowsIndependent: true,
      rows: new Array(rows).fill(row),
      recommended: {},
      reason: '',
      leftOut: null,
    });
    const allowed = [0, 1, MAX_TUNING_ROWS, MAX_TUNING_ROWS + 1].map((rows) =>
      accepts(tuningSchema, tuning(rows)),
    );
    expect(allowed).toEqual([false, true, true, false]);
  });
});

describe('LIMIT-10: the arms of a deployment in a report', () => {
  it('are at most 16', () => {
    const arm = {
      arm: 'pinned',
      version: 1,
      manifest: `sha256:${'0'.repeat(64)}`,
      state: 'fetching',
    };
    const report = (arms: number) => ({ name: 'loans', arms: new Array(arms).fill(arm) });
    expect(accepts(reportedDeploymentSchema, report(MAX_REPORTED_ARMS))).toBe(true);
    expect(accepts(reportedDeploymentSchema, report(MAX_REPORTED_ARMS + 1))).toBe(false);
  });
});

it('LIMIT-12: a challenge shows at most 64 roots, and a statement has at most 32 KiB and 32 signatures', () => {
  const signature = { keyId: '0'.repeat(16), signature: new Uint8Array(64) };
  const signed = (bytes: number, signatures: number) => ({
    payload: new Uint8Array(bytes),
    signatures: Array.from({ length: signatures }, () => signature),
  });
  const most = 2 * MAX_ROLE_KEYS;
  expect(accepts(signedSchema, signed(MAX_STATEMENT_BYTES, most))).toBe(true);
  expect(accepts(signedSchema, signed(MAX_STATEMENT_BYTES + 1, 1))).toBe(false);
  expect(accepts(signedSchema, signed(1, most + 1))).toBe(false);
  const challenge = (roots: number) => ({
    ...{ kind: 'challenge', nonce: new Uint8Array(32), controlKey: new Uint8Array(32) },
    protocols: { min: 1, max: 3 },
    roots: Array.from({ length: roots }, () => signed(1, 1)),
  });
  expect(accepts(challengeMessageSchema, challenge(MAX_ROOTS))).toBe(true);
  expect(accepts(challengeMessageSchema, challenge(MAX_ROOTS + 1))).toBe(false);
});

it('LIMIT-13: a report brings at most 64 trips, a lease lasts 2 s to 31 days, a guard looks back at 10 to 10,000 answers', () => {
  const trip = {
    ...{ id: `trp_${'0'.repeat(16)}`, deployment: 'loans', manifest: `sha256:${'0'.repeat(64)}` },
    ...{ version: 1, arm: 'stable', generation: 1, at: 0, decision: null },
    breach: { threshold: 'drift', psi: 1, limit: 0.5, rows: 500 },
    outcome: { kind: 'kept' },
  };
  const report = (trips: number) => ({
    ...{ kind: 'report', observed: 1, applied: 1, at: 0, deployments: [] },
    trips: new Array(trips).fill(trip),
  });
  expect(accepts(reportMessageSchema, report(MAX_REPORTED_TRIPS))).toBe(true);
  expect(accepts(reportMessageSchema, report(MAX_REPORTED_TRIPS + 1))).toBe(false);
  const lease = (durationMs: number) => accepts(leaseSchema, { durationMs, afterwards: 'stop' });
  expect([MIN_LEASE_MS - 1, MIN_LEASE_MS, MAX_LEASE_MS, MAX_LEASE_MS + 1].map(lease)).toEqual([
    false,
    true,
    true,
    false,
  ]);
  const guard = (lastAnswers: number) => accepts(guardSchema, { lastAnswers, maxNonFinite: 0 });
  expect([9, 10, 10_000, 10_001].map(guard)).toEqual([false, true, true, false]);
});
