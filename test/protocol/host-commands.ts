import fc from 'fast-check';
import { logLevelSchema } from '../../protocol/command.ts';

const anyName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/);
const anyText = fc.string({ maxLength: 60 });
const anyTime = fc.integer({ min: 0, max: 8.64e15 });
// A whole number travels as one: there is no minus zero.
const anyFinite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const anyLevel = fc.constantFrom(...logLevelSchema.options);
const anyDigest = fc.stringMatching(/^sha256:[0-9a-f]{64}$/);
const anySize = fc.double({ min: 0, max: 1e15, noNaN: true });
const named = <N extends string>(name: N) => fc.record({ name: fc.constant(name) });

export const anyHostCommands = [
  named('drain'),
  named('undrain'),
  named('restart-engines'),
  named('diagnostics'),
  fc.record({
    name: fc.constant('decision' as const),
    deployment: anyName,
    id: fc.stringMatching(/^[0-9a-f]{1,12}(\.[0-9a-z]{1,11}){3}$/),
    row: fc.integer({ min: 0, max: 1e9 }),
  }),
  fc.record({
    name: fc.constant('log-level' as const),
    level: anyLevel,
    forMs: fc.integer({ min: 1_000, max: 86_400_000 }),
  }),
];

const anyRecord = fc.record({
  manifest: anyDigest,
  arm: fc.constantFrom('stable' as const, 'candidate' as const, 'pinned' as const),
  windowStartMs: anyTime,
  windowMs: fc.integer({ min: 1, max: 3_600_000 }),
  answeredAt: anyTime,
  row: fc.nat({ max: 1e9 }),
  prediction: fc.option(fc.oneof(anyFinite, anyText)),
  positive: fc.boolean(),
  groups: fc.dictionary(fc.constantFrom('sex', 'age of applicant'), anyText, {
    noNullPrototype: true,
  }),
  label: fc.option(fc.oneof(anyFinite, anyText)),
});

const anyProcess = fc.record({ ordinal: fc.nat(), pid: fc.nat(), rssBytes: anySize });

const anyDiagnostics = fc.record({
  at: anyTime,
  version: anyText,
  runtime: anyText,
  uptimeMs: anySize,
  settings: fc.dictionary(anyName, fc.oneof(anyText, anyFinite, fc.boolean(), fc.constant(null)), {
    maxKeys: 5,
    noNullPrototype: true,
  }),
  draining: fc.boolean(),
  desired: fc.record({ observed: fc.nat(), applied: fc.nat(), stale: fc.boolean() }),
  deployments: fc.array(
    fc.record({
      name: anyName,
      versions: fc.array(fc.integer({ min: 1, max: 1e9 }), { maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
  engines: fc.record({
    ...{ wanted: fc.nat(), alive: fc.nat(), deaths: fc.nat(), connections: fc.nat() },
    processes: fc.array(anyProcess, { maxLength: 3 }),
  }),
  memory: fc.record({ rssBytes: anySize, heapUsedBytes: anySize }),
  outbox: fc.record({ pending: fc.nat(), dropped: fc.nat(), coarsened: fc.nat() }),
  egress: fc.record({ telemetry: fc.record({ messages: fc.nat(), bytes: fc.nat() }) }),
  log: fc.array(anyText, { maxLength: 4 }),
});

export const anyHostValues = [
  fc.record({ name: fc.constant('drain' as const), inFlight: fc.nat() }),
  named('undrain'),
  fc.record({ name: fc.constant('restart-engines' as const), restarted: fc.nat({ max: 256 }) }),
  fc.record({ name: fc.constant('decision' as const), record: anyRecord }),
  fc.record({ name: fc.constant('diagnostics' as const), diagnostics: anyDiagnostics }),
  fc.record({ name: fc.constant('log-level' as const), level: anyLevel, until: anyTime }),
];
