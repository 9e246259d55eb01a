import { describe, expect, it } from 'vitest';
import { readSource, type SourceFile, sourceFiles } from './support/source-files.ts';

const FILES = ['protocol', 'agent', 'control-plane'].flatMap(sourceFiles);

/** Who may import which of our files. The first line that matches a file is its rule. */
const MAY_IMPORT: readonly (readonly [from: RegExp, to: RegExp])[] = [
  [/^protocol\/sketch\//, /^protocol\/sketch\//],
  [/^protocol\/statistics\//, /^protocol\/(statistics|sketch)\//],
  [/^protocol\//, /^protocol\//],
  // An engine answers requests: it knows nothing of link, disk or control plane.
  [/^agent\/engine\//, /^(protocol|agent\/engine)\/|^agent\/error\.ts$/],
  [
    /^agent\/(store|link)\//,
    /^(protocol|agent\/(store|link))\/|^agent\/(error|engine\/messages)\.ts$/,
  ],
  // What a page loads: the build fails where it would need Node.
  [/^agent\/browser\//, /^(protocol|agent\/(browser|link|rollout))\/|^agent\/error\.ts$/],
  [/^agent\//, /^(protocol|agent)\//],
  [/^control-plane\/store\//, /^(protocol|control-plane\/store)\/|^control-plane\/error\.ts$/],
  // The command talks to a control plane over HTTP, whoever runs it; of its code it needs the types.
  [/^control-plane\//, /^(protocol|control-plane)\//],
];

/** The files that own a package. zod and hono are everybody's. */
const OWNERS: Readonly<Record<string, RegExp>> = {
  '@hono/node-server': /^agent\/engine\/serve\/|^control-plane\/(main\.ts|http\/)/,
  '@hono/zod-openapi': /^control-plane\/http\//,
  '@libsql/client': /^control-plane\/store\//,
  commander: /^control-plane\/cli\//,
  'drizzle-orm': /^control-plane\/(store\/|audit\/record\.ts$)/,
  hono: /./,
  hyparquet: /^control-plane\/offline\/parquet-(table|chunk)\.ts$/,
  'hyparquet-compressors': /^control-plane\/offline\/parquet-chunk\.ts$/,
  msgpackr: /^(protocol\/wire|agent\/rollout\/desired-store|agent\/simulate\/late-checks)\.ts$/,
  nodemailer: /^control-plane\/notify\/email\.ts$/,
  'onnxruntime-node': /^agent\/engine\/model\/(runtime-node|native-run)\.ts$/,
  pino: /^(agent|control-plane)\/main\.ts$|^control-plane\/cli\//,
  ws: /^agent\/(link\/node-socket|simulate\/faulty-socket)\.ts$|^control-plane\/link\//,
  zod: /./,
  'node:child_process':
    /^control-plane\/cli\/|^agent\/(engine\/pool\/engine-process|command\/tuning-process)\.ts$/,
};

const READS_ENVIRONMENT = /^(agent|control-plane)\/(main|config)\.ts$|^control-plane\/cli\//;

/** Files whose answers depend on their arguments alone. */
const PURE = [
  /^protocol\//,
  /^(?!control-plane\/cli\/).*-state\.ts$/,
  /^agent\/engine\/restraints\.ts$/,
  /^agent\/rollout\/(serving-plan|standby|fallback|blame|repository-control|models-to-open|engines-wanted)\.ts$/,
  /^agent\/engine\/(snapshot|host|posted-label|pool\/(prepare|counters|restart-delay|refusal-bytes|watchdog|engine-death))\.ts$/,
  /^agent\/store\/(room|pace|retry-after)\.ts$/,
  /^control-plane\/http\/(byte-range|download-slots)\.ts$/,
  /^agent\/metrics\/(exposition|latency-buckets)\.ts$/,
  /^agent\/engine\/model\/batch(-(queue|deadlines|concat))?\.ts$/,
  /^agent\/engine\/observe\//,
  /^agent\/engine\/features\/(assemble|feature-answer|feature-question|row-cache|row-keys)\.ts$/,
  /^agent\/engine\/trace\/(otlp-json|span|trace-context)\.ts$/,
  /^agent\/engine\/pipeline\/(value|rows|combine|choose|step-inputs|execute|missing-steps)\.ts$/,
  /^agent\/engine\/model\/(placement|rows|thread\/(frame-budget|tensor-frame)|executor\/baseline-rows)\.ts$/,
  // What starts with `grpc-` or `http-` holds the transport; the rest of serving is codecs and rules.
  /^agent\/engine\/serve\/(?!http-|grpc\/grpc-|infer-handler|infer-job|inference|oip-app|request-body|content-encoding)/,
  /^control-plane\/merge\/(fold|refuse)\.ts$/,
  /^control-plane\/notify\/(backoff|message|signature|evidence-link|error|channel)\.ts$/,
  /^control-plane\/reading\/(?!reader)/,
  /^control-plane\/report\//,
  /^control-plane\/decide\/(?!watch|monitoring|monitors|version-shapes|alert-desk|drift-cause|seasonal-references)/,
  /^control-plane\/residency\//,
  /^control-plane\/link\/(admission-bucket|address-admissions)\.ts$/,
  /^control-plane\/rollout\/(gate|cohort|desired)\.ts$/,
  /^control-plane\/offline\/(?!open-table|text-of|csv-table|json-lines-table|parquet-|compare|outcome|report-data)/,
];
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.now\b|\bgetRandomValues\b|\brandomUUID\b|\brandomBytes\b|\bset(Timeout|Interval|Immediate)\b|\bprocess\.(env|argv|pid|hrtime|on|exit|stdout|stderr|memoryUsage|cwd)\b|\bfetch\(/;
/** A hash and a look at bytes are functions; everything else of Node is the world. */
const PURE_NODE_MODULES = new Set(['node:crypto', 'node:buffer']);

const MAX_LINES = 400;

const isPure = (path: string) => PURE.some((pattern) => pattern.test(path));
const isOurs = (target: string) => /^(protocol|agent|control-plane|test|bench)\//.test(target);
const packageOf = (target: string) =>
  target.startsWith('node:') ? target : target.split('/', target.startsWith('@') ? 2 : 1).join('/');

function importViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, imports }) => {
    const allowed = MAY_IMPORT.find(([from]) => from.test(path))?.[1];
    return imports
      .filter(({ target }) => isOurs(target) && !allowed?.test(target))
      .map(({ target }) => `${path} imports ${target}`);
  });
}

function packageViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter(({ target, kind }) => !isOurs(target) && !mayUse(path, packageOf(target), kind))
      .map(({ target }) => `${path} imports ${target}`),
  );
}

/** A type costs nothing at run time, so only values of a package are confined; protocol/ stays free of Node. */
function mayUse(path: string, name: string, kind: 'value' | 'type'): boolean {
  if (path.startsWith('protocol/')) return OWNERS[name]?.test(path) ?? false;
  if (name.startsWith('node:') && OWNERS[name] === undefined) return true;
  const owners = OWNERS[name];
  return owners !== undefined && (kind === 'type' || owners.test(path));
}

function environmentViolations(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => !READS_ENVIRONMENT.test(path))
    .flatMap(({ path, code }) => {
      const reads = [...code.matchAll(/process\.(env|argv)\b.*/g)].map(([line]) => line);
      const excused = path === 'agent/engine/model/runtime-node.ts';
      return reads
        .filter((line) => !(excused && line === "process.env.ORT_DISABLE_TELEMETRY = '1';"))
        .map((line) => `${path}: ${line}`);
    });
}

function purityViolations(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => isPure(path))
    .flatMap(({ path, code, imports }) => {
      const world = [...code.matchAll(new RegExp(IMPURE, 'g'))].map(([use]) => use);
      const modules = imports
        .filter(({ target, kind }) => kind === 'value' && !isPureTarget(target))
        .map(({ target }) => target);
      return [...world, ...modules].map((use) => `${path} uses ${use}`);
    });
}

function isPureTarget(target: string): boolean {
  if (isOurs(target)) return isPure(target) || PURE_LEAVES.has(target);
  return !target.startsWith('node:') || PURE_NODE_MODULES.has(target);
}

/** Error classes and the conversion of values: nothing in them looks at the world. */
const PURE_LEAVES = new Set([
  'agent/error.ts',
  'agent/engine/model/tensor-data.ts',
  'control-plane/error.ts',
]);

/** Each cycle of run-time imports once, as the files on it. */
function importCycles(files: readonly SourceFile[]): string[] {
  const targets = new Map(
    files.map(({ path, imports }) => [
      path,
      imports.filter(({ kind }) => kind === 'value').map(({ target }) => target),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path);
    if (at !== -1) cycles.push([...trail.slice(at), path].join(' → '));
    if (at !== -1 || done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
  return cycles;
}

describe('the architecture', () => {
  it('has one direction of imports', () => {
    expect(FILES.length).toBeGreaterThan(100);
    expect(importViolations(FILES)).toEqual([]);
  });

  it('confines each package to the files that own it', () => {
    expect(packageViolations(FILES)).toEqual([]);
  });

  it('reads environment and command line only in main, config and the command', () => {
    expect(environmentViolations(FILES)).toEqual([]);
  });

  it('keeps clocks, chance and I/O out of pure modules', () => {
    expect(purityViolations(FILES)).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(importCycles(FILES)).toEqual([]);
  });

  it('has no barrels, no drawers and no file too long to read', () => {
    const paths = FILES.map(({ path }) => path);
    expect(
      paths.filter((path) => /\/(index|utils?|helpers?|common|types)\.ts$/.test(path)),
    ).toEqual([]);
    const long = FILES.filter(({ text }) => text.split('\n').length > MAX_LINES);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('has no any, no non-null assertion, no enum and no suppressed error', () => {
    const shortcut = /:\s*any\b|<any>|\bas any\b|\w!\.|\benum \w|@ts-(ignore|expect-error|nocheck)/;
    expect(FILES.filter(({ code }) => shortcut.test(code)).map(({ path }) => path)).toEqual([]);
  });
});

describe('the test of the architecture', () => {
  const check = (path: string, text: string) => {
    const files = [readSource(path, text)];
    return [
      ...importViolations(files),
      ...packageViolations(files),
      ...environmentViolations(files),
      ...purityViolations(files),
    ];
  };

  it.each<[string, string]>([
    ['agent/x.ts', "import { a } from '../control-plane/error.ts';"],
    ['control-plane/x.ts', "import type { A } from '../agent/error.ts';"],
    ['protocol/x.ts', "export * from '../agent/error.ts';"],
    ['protocol/x.ts', "import { readFile } from 'node:fs/promises';"],
    ['protocol/sketch/x.ts', "import { toHex } from '../bytes.ts';"],
    ['protocol/statistics/x.ts', "import {\n  ProtocolError,\n} from '../error.ts';"],
    ['agent/engine/x.ts', "import { Link } from '../link/link.ts';"],
    ['agent/engine/x.ts', "const { Link } = await import('../link/link.ts');"],
    ['agent/x.ts', "import { WebSocket } from 'ws';"],
    ['agent/x.ts', "import 'onnxruntime-node';"],
    ['control-plane/http/x.ts', "import { sql } from 'drizzle-orm/sqlite-core';"],
    ['agent/x.ts', "import left from 'left-pad';"],
    ['agent/x.ts', 'const home = process.env.HOME;'],
    ['agent/engine/model/runtime-node.ts', 'const home = process.env.HOME;'],
    ['agent/link/link-state.ts', 'const now = Date.now();'],
    ['control-plane/decide/x.ts', 'const draw = Math.random();'],
    ['control-plane/merge/fold.ts', "import { sql } from '../store/database.ts';"],
  ])('finds what is wrong in %s: %s', (path, text) => {
    expect(check(path, text)).not.toEqual([]);
  });

  it.each<[string, string]>([
    ['agent/x.ts', "// import { a } from '../control-plane/error.ts';"],
    ['agent/x.ts', "/** import { a } from '../control-plane/error.ts'; Date.now() */"],
    ['agent/link/link-state.ts', "import type { Outbox } from './outbox.ts';"],
    ['agent/supervisor.ts', "import type { Logger } from 'pino';"],
    ['agent/engine/model/runtime-node.ts', "process.env.ORT_DISABLE_TELEMETRY = '1';"],
  ])('finds nothing in %s: %s', (path, text) => {
    expect(check(path, text)).toEqual([]);
  });

  it('finds a cycle over three files', () => {
    const files = [
      readSource('agent/a.ts', "import './b.ts';"),
      readSource('agent/b.ts', "import './c.ts';"),
      readSource('agent/c.ts', "import './a.ts';"),
    ];
    expect(importCycles(files)).toEqual(['agent/a.ts → agent/b.ts → agent/c.ts → agent/a.ts']);
  });
});
