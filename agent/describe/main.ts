import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nameSchema } from '../../protocol/ids.ts';
import {
  checkManifestAgainstModel,
  type Manifest,
  type ManifestDraft,
  type ManifestFile,
  manifestDraftSchema,
} from '../../protocol/manifest.ts';
import { readModelInfo } from '../../protocol/onnx/model-info.ts';
import { encodeProfile } from '../../protocol/profile.ts';
import { describe } from '../../protocol/wire.ts';
import type { ExecutorRecord } from '../engine/model/executor/executor-record.ts';
import {
  checkGolden,
  DEFAULT_TOLERANCE,
  type Golden,
  goldenTensor,
} from '../engine/model/golden.ts';
import type { Session } from '../engine/model/runtime.ts';
import { createNodeRuntime } from '../engine/model/runtime-node.ts';
import { AgentError, messageOf } from '../error.ts';
import { type Baseline, tableBaseline } from './baseline.ts';
import { compareExecutor } from './compare-executor.ts';
import { type CsvTable, parseCsv } from './csv.ts';
import { inferManifest, inferWatchedTensors } from './infer-manifest.ts';
import { isNpy, type NpyArray, parseNpy } from './npy.ts';
import { pipelineManifest } from './pipeline-manifest.ts';
import { buildProfile } from './profile-builder.ts';
import { tensorBaseline } from './tensor-baseline.ts';

/** Rows of the baseline whose answers every host must reproduce before it serves the version. */
const GOLDEN_ROWS = 8;
/** Numbers in them, which are kept as text: of images one is enough, and is a megabyte or two. */
const GOLDEN_NUMBERS = 100_000;

/**
 * `describe`: turns a model file and a baseline into a version's documents. Runs where the model's author is, with
 * the code that will run on the hosts. Prints one line of JSON; returns the exit code.
 */
export async function runDescribe(argv: readonly string[]): Promise<number> {
  try {
    process.stdout.write(`${JSON.stringify({ ok: true, ...(await describeModel(argv)) })}\n`);
    return 0;
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ ok: false, error: messageOf(error) })}\n`);
    return 1;
  }
}

async function describeModel(
  argv: readonly string[],
): Promise<{ manifest: string; rows: number; warnings: string[] }> {
  const options = readOptions(argv);
  if (options.pipeline) return describePipeline(options);
  const model = await readInput('--model', options.model);
  const info = readModelInfo(model);
  const given = options.baseline === null ? null : await readBaseline(options.baseline);
  const draft = await readDraft(options.manifest);
  const { described, warnings } =
    given?.kind === 'tensors'
      ? inferWatchedTensors(info, draft, given.array)
      : inferManifest(info, draft, given?.table ?? null);
  const files: ManifestFile[] = [await fileOf('model', model)];
  const manifest: Manifest = {
    schema: 1,
    model: options.name,
    files,
    inputs: info.inputs,
    outputs: info.outputs,
    ...described,
  };
  checkManifestAgainstModel(manifest, info);
  const baseline = given === null ? null : baselineOf(given, manifest, options.baseline ?? '');
  await mkdir(options.out, { recursive: true });
  const session = await openSession(model);
  try {
    if (baseline !== null) {
      const profile = encodeProfile(await buildProfile(session, manifest, baseline));
      files.push(await save(options.out, 'profile', profile));
      const executor = await compareExecutor(model, session, manifest, baseline);
      if (!executor.agrees && executor.rows > 0) warnings.push(differs(executor));
      const golden = { ...(await makeGolden(session, manifest, baseline)), executor };
      files.push(await save(options.out, 'golden', Buffer.from(JSON.stringify(golden))));
    }
  } finally {
    await session.release();
  }
  const text = JSON.stringify(manifest);
  await writeFile(join(options.out, 'manifest.json'), text);
  return { manifest: digestOf(Buffer.from(text)), rows: baseline?.rows ?? 0, warnings };
}

/** A model that can't be compiled is nothing to speak of: most can't. */
function differs({ reason }: ExecutorRecord): string {
  return `the TypeScript executor does not agree with ONNX Runtime on the baseline (${reason}); hosts will use ONNX Runtime alone`;
}

async function describePipeline(options: Options) {
  if (options.baseline !== null) {
    throw new AgentError(
      'configuration',
      `--baseline ${options.baseline}: a pipeline has none, because its steps answer on the hosts; leave it out`,
    );
  }
  const graph = await readInput('--model', options.model);
  const file = await fileOf('pipeline', graph);
  const draft = await readDraft(options.manifest);
  const { manifest, warnings } = pipelineManifest(options.name, graph, file, draft);
  await mkdir(options.out, { recursive: true });
  const text = JSON.stringify(manifest);
  await writeFile(join(options.out, 'manifest.json'), text);
  return { manifest: digestOf(Buffer.from(text)), rows: 0, warnings };
}

type Options = ReturnType<typeof readOptions>;

function readOptions(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      model: { type: 'string' },
      baseline: { type: 'string' },
      manifest: { type: 'string' },
      name: { type: 'string' },
      out: { type: 'string' },
      pipeline: { type: 'boolean', default: false },
    },
  });
  const { model, name, out } = values;
  if (model === undefined || name === undefined || out === undefined) {
    throw new AgentError('configuration', 'describe needs --model, --name and --out');
  }
  if (!nameSchema.safeParse(name).success) {
    throw new AgentError(
      'configuration',
      `--name is "${name}"; use letters, digits, ".", "_" and "-"`,
    );
  }
  const { baseline = null, manifest = null, pipeline } = values;
  return { model, name, out, baseline, manifest, pipeline };
}

type BaselineFile =
  | { readonly kind: 'table'; readonly table: CsvTable }
  | { readonly kind: 'tensors'; readonly array: NpyArray };

async function readBaseline(path: string): Promise<BaselineFile> {
  const file = await readInput('--baseline', path);
  return isNpy(file)
    ? { kind: 'tensors', array: parseNpy(file, path) }
    : { kind: 'table', table: parseCsv(file.toString('utf8'), path) };
}

function baselineOf(given: BaselineFile, manifest: Manifest, path: string): Baseline {
  return given.kind === 'tensors'
    ? tensorBaseline(given.array, manifest.inputs, path)
    : tableBaseline(given.table, manifest.features, manifest.inputs);
}

async function readInput(flag: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AgentError('configuration', `${flag} ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function readDraft(path: string | null): Promise<ManifestDraft> {
  if (path === null) return {};
  let value: unknown;
  try {
    value = JSON.parse((await readInput('--manifest', path)).toString('utf8'));
  } catch (cause) {
    throw new AgentError('configuration', `--manifest ${path}: ${messageOf(cause)}`, { cause });
  }
  const parsed = manifestDraftSchema.safeParse(value);
  if (!parsed.success) {
    throw new AgentError('configuration', `--manifest ${path}: ${describe(parsed.error)}`);
  }
  return parsed.data;
}

async function openSession(model: Uint8Array): Promise<Session> {
  const runtime = await createNodeRuntime();
  try {
    return await runtime.open(model);
  } catch (cause) {
    throw new AgentError('configuration', `ONNX Runtime refused the model: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function makeGolden(
  session: Session,
  manifest: Manifest,
  baseline: Baseline,
): Promise<Golden> {
  const free = manifest.inputs.every((input) => input.shape[0] === -1);
  const few = Math.max(1, Math.floor(GOLDEN_NUMBERS / baseline.width));
  const inputs = baseline.inputs(0, free ? Math.min(GOLDEN_ROWS, baseline.rows, few) : 1);
  const outputs = await session.run(inputs);
  const golden: Golden = {
    schema: 1,
    tolerance: DEFAULT_TOLERANCE,
    inputs: [...inputs].map(([name, tensor]) => goldenTensor(name, tensor)),
    outputs: [...outputs].map(([name, tensor]) => goldenTensor(name, tensor)),
  };
  // A model that answers differently the second time (dropout left on, random ops) can't be checked anywhere.
  await checkGolden(session, golden);
  return golden;
}

async function save(
  folder: string,
  role: 'profile' | 'golden',
  bytes: Uint8Array,
): Promise<ManifestFile> {
  await writeFile(join(folder, `${role}.json`), bytes);
  return fileOf(role, bytes);
}

async function fileOf(role: ManifestFile['role'], bytes: Uint8Array): Promise<ManifestFile> {
  return { role, digest: digestOf(bytes), sizeBytes: bytes.length };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
