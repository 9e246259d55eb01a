import fc from 'fast-check';
import { commandErrorCodeSchema } from '../../protocol/command.ts';
import type { DownMessage } from '../../protocol/down.ts';
import { linkErrorCodeSchema, refusalCodeSchema } from '../../protocol/error.ts';
import type { ReportedArm } from '../../protocol/report.ts';
import type { Trip } from '../../protocol/trip.ts';
import type { UpMessage } from '../../protocol/up.ts';
import { anyHostCommands, anyHostValues } from './host-commands.ts';

/** Arbitrary values of every message that may travel, inside the limits. */

const hexOf = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''));

const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });

export const anyDigest = hexOf(64).map((hex) => `sha256:${hex}`);
export const anyAgent = hexOf(24).map((hex) => `agt_${hex}`);
export const anyName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$/);
const anyBoot = hexOf(16);
const anyArm = fc.constantFrom('stable' as const, 'candidate' as const, 'pinned' as const);
const anyVersion = fc.integer({ min: 1, max: 1_000_000_000 });
const anyTime = fc.maxSafeNat().map((ms) => ms % 8.64e15);
const anyCount = fc.maxSafeNat();
const anyText = fc.string({ maxLength: 200, unit: 'binary' });
const anyWindowMs = fc.integer({ min: 500, max: 3_600_000 });

const anyHello = fc.record({
  kind: fc.constant('hello' as const),
  protocol: fc.integer(),
  agent: fc.option(anyAgent),
  publicKey: bytes(32),
  proof: bytes(64),
  nonce: bytes(32),
  rotation: fc.option(fc.record({ previousKey: bytes(32), signature: bytes(64) })),
  join: fc.option(
    fc.record({
      token: fc.string({ maxLength: 256 }),
      name: anyName,
      labels: fc.dictionary(anyName, fc.string({ maxLength: 40 }), {
        maxKeys: 8,
        noNullPrototype: true,
      }),
    }),
  ),
  boot: anyBoot,
  generation: anyCount,
  serving: fc.option(fc.string({ maxLength: 256 })),
  capabilities: fc.record({
    runtime: fc.constantFrom('node' as const, 'browser' as const),
    runtimeVersion: fc.string({ maxLength: 64 }),
    platform: fc.string({ maxLength: 64 }),
    cores: fc.integer({ min: 1, max: 4096 }),
    engines: fc.integer({ min: 0, max: 4096 }),
    providers: fc.array(fc.string({ maxLength: 64 }), { maxLength: 4 }),
  }),
});

const armBase = { arm: anyArm, version: anyVersion, manifest: anyDigest };
const anyReportedArm: fc.Arbitrary<ReportedArm> = fc.oneof(
  fc.record({
    ...armBase,
    state: fc.constant('serving' as const),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ ...armBase, state: fc.constant('fetching' as const) }),
  fc.record({
    ...armBase,
    state: fc.constant('refused' as const),
    code: fc.constantFrom(...refusalCodeSchema.options),
    detail: anyText,
  }),
);

const share = fc.double({ min: 0, max: 1, noNaN: true });
const many = fc.integer({ min: 1, max: 10_000 });
const ofAnswers = { bad: many, answers: many, limit: fc.nat() };
const anyTrip: fc.Arbitrary<Trip> = fc.record({
  ...armBase,
  id: hexOf(16).map((hex) => `trp_${hex}`),
  deployment: anyName,
  generation: anyCount,
  at: anyTime,
  breach: fc.oneof(
    fc.record({ threshold: fc.constant('non-finite' as const), ...ofAnswers }),
    fc.record({
      threshold: fc.constant('errors' as const),
      ...ofAnswers,
      code: fc.string({ maxLength: 64 }),
    }),
    fc.record({
      threshold: fc.constant('latency' as const),
      ...ofAnswers,
      budgetUs: many,
      latencyUs: share,
    }),
    fc.record({ threshold: fc.constant('drift' as const), psi: share, limit: share, rows: many }),
  ),
  decision: fc.option(fc.string({ maxLength: 128 })),
  outcome: fc.oneof(
    fc.record({ kind: fc.constant('reverted' as const), version: anyVersion }),
    fc.record({ kind: fc.constantFrom('kept' as const, 'refused' as const) }),
  ),
});

const anyReport = fc.record({
  kind: fc.constant('report' as const),
  observed: anyCount,
  applied: anyCount,
  at: anyTime,
  stale: fc.boolean(),
  deployments: fc.array(
    fc.record(
      {
        name: anyName,
        arms: fc.array(anyReportedArm, { maxLength: 8 }),
        lease: fc.record({
          state: fc.constantFrom('held' as const, 'lapsed' as const, 'stopped' as const),
          lapsedAt: fc.option(anyTime),
        }),
      },
      { requiredKeys: ['name', 'arms'] },
    ),
    { maxLength: 5 },
  ),
  trips: fc.array(anyTrip, { maxLength: 3 }),
});

export const anyTelemetry = fc.record({
  kind: fc.constant('telemetry' as const),
  boot: anyBoot,
  sequence: anyCount.map((count) => Math.max(1, count)),
  deployment: anyName,
  manifest: anyDigest,
  arm: anyArm,
  windowStartMs: anyTime,
  windowMs: anyWindowMs,
  clockAheadMs: fc.option(fc.integer({ min: -1e9, max: 1e9 })),
  windows: fc.integer({ min: 1, max: 10_000_000 }),
  body: bytes(0, 300),
});

const anyEvent = fc.record({
  kind: fc.constant('event' as const),
  at: anyTime,
  name: fc.constantFrom('engine-exited' as const, 'version-refused' as const, 'fell-back' as const),
  detail: anyText,
});

const anySigned = fc.record({
  payload: bytes(0, 300),
  signatures: fc.array(fc.record({ keyId: hexOf(16), signature: bytes(64) }), { maxLength: 3 }),
});

const anyCommandId = hexOf(16).map((hex) => `cmd_${hex}`);

const anyTuning = fc.record({
  version: anyVersion,
  manifest: anyDigest,
  cores: fc.integer({ min: 1, max: 4096 }),
  rowsIndependent: fc.boolean(),
  rows: fc.array(
    fc.record({
      placement: fc.constantFrom('inline' as const, 'worker' as const),
      workers: fc.integer({ min: 0, max: 64 }),
      intraOpThreads: fc.integer({ min: 1, max: 64 }),
      batchSize: fc.integer({ min: 1, max: 4096 }),
      callUs: fc.double({ min: 0.1, max: 1e12, noNaN: true }),
      rowsPerSecond: fc.double({ min: 0.1, max: 1e12, noNaN: true }),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  recommended: fc.record({ workers: fc.integer({ min: 1, max: 64 }) }),
  reason: anyText,
  leftOut: fc.option(anyText),
});

const anyResult = fc.record({
  kind: fc.constant('result' as const),
  id: anyCommandId,
  outcome: fc.oneof(
    fc.record({
      ok: fc.constant(true as const),
      value: fc.oneof(
        fc.record({ name: fc.constant('tune' as const), tuning: anyTuning }),
        fc.record({ name: fc.constant('rotate-key' as const), publicKey: bytes(32) }),
        ...anyHostValues,
      ),
    }),
    fc.record({
      ok: fc.constant(false as const),
      code: fc.constantFrom(...commandErrorCodeSchema.options),
      message: anyText,
    }),
  ),
});

const anySent = fc.record({ messages: fc.nat(), bytes: fc.nat() });

const anyLedger = fc.record({
  kind: fc.constant('ledger' as const),
  at: anyTime,
  sinceMs: anyTime,
  egress: fc.record({ telemetry: anySent, traces: anySent }, { requiredKeys: [] }),
  clockAheadMs: fc.integer({ min: -1e9, max: 1e9 }),
  outbox: fc.record({ pending: fc.nat(), dropped: fc.nat(), coarsened: fc.nat() }),
});

const anyProgress = fc.record({
  kind: fc.constant('progress' as const),
  at: anyTime,
  downloads: fc.array(
    fc.record({
      manifest: anyDigest,
      digest: anyDigest,
      doneBytes: fc.nat(),
      totalBytes: fc.nat(),
    }),
    { maxLength: 16 },
  ),
});

export const anyUp: Record<UpMessage['kind'], fc.Arbitrary<UpMessage>> = {
  hello: anyHello,
  report: anyReport,
  telemetry: anyTelemetry,
  event: anyEvent,
  result: anyResult,
  ledger: anyLedger,
  progress: anyProgress,
};

export const anyDown: Record<DownMessage['kind'], fc.Arbitrary<DownMessage>> = {
  alive: fc.constant({ kind: 'alive' as const }),
  challenge: fc.record({
    kind: fc.constant('challenge' as const),
    nonce: bytes(32),
    controlKey: bytes(32),
    protocols: fc.record({ min: fc.integer(), max: fc.integer() }),
    roots: fc.array(anySigned, { maxLength: 3 }),
  }),
  welcome: fc.record({
    kind: fc.constant('welcome' as const),
    protocol: fc.integer(),
    agent: anyAgent,
    serverTimeMs: anyTime,
    downloadToken: fc.string({ maxLength: 1024 }),
    signature: bytes(64),
  }),
  pending: fc.record({
    kind: fc.constant('pending' as const),
    agent: anyAgent,
    signature: bytes(64),
  }),
  desired: fc.record({
    kind: fc.constant('desired' as const),
    envelope: fc.record({
      ...{ payload: bytes(0, 2000), keyId: hexOf(16), signature: bytes(64) },
      inclusion: fc.record({
        index: fc.integer({ min: 0, max: 2 ** 31 }),
        size: fc.integer({ min: 2, max: 2 ** 31 }),
        path: bytes(0, 31 * 32),
      }),
    }),
    releases: fc.array(anySigned, { maxLength: 3 }),
  }),
  lease: fc.record({
    kind: fc.constant('lease' as const),
    envelope: fc.record({
      ...{ payload: bytes(0, 200), keyId: hexOf(16), signature: bytes(64) },
    }),
  }),
  command: fc.record({
    kind: fc.constant('command' as const),
    id: anyCommandId,
    deadline: anyTime,
    command: fc.oneof(
      fc.record({ name: fc.constant('tune' as const), deployment: anyName }),
      fc.record({ name: fc.constant('rotate-key' as const) }),
      ...anyHostCommands,
    ),
  }),
  ack: fc.record({
    kind: fc.constant('ack' as const),
    boot: anyBoot,
    sequence: anyCount.map((count) => Math.max(1, count)),
  }),
  refused: fc.record({
    kind: fc.constant('refused' as const),
    code: fc.constantFrom(...linkErrorCodeSchema.options),
    detail: anyText,
    retryAfterMs: fc.oneof(fc.constant(null), fc.integer({ min: 0 })),
    signature: bytes(64),
  }),
};

/** A telemetry message whose fields are plain, for tests that vary one of them. */
export function telemetry(fields: Partial<Extract<UpMessage, { kind: 'telemetry' }>> = {}) {
  return {
    kind: 'telemetry' as const,
    boot: '00112233aabbccdd',
    sequence: 1,
    deployment: 'loans',
    manifest: `sha256:${'ab'.repeat(32)}`,
    arm: 'stable' as const,
    windowStartMs: 1_700_000_000_000,
    windowMs: 1000,
    clockAheadMs: null,
    windows: 1,
    body: Uint8Array.of(1, 2, 3),
    ...fields,
  };
}
