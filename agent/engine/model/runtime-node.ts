import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { AgentError } from '../../error.ts';
import { loadNative, type NativeSession, type OpenNative } from './native-run.ts';
import { countNodes } from './node-counts.ts';
import { fromOrt, toOrt } from './ort-tensor.ts';
import type { NodeCounts, Runtime, Session, SessionOptions, Tensor } from './runtime.ts';
import { openOnWorkers } from './thread/worker-session.ts';

// ONNX Runtime >= 1.29 writes a device id and looks up a telemetry host when the first session opens,
// unless this is set by then; it is latched for the life of the process.
process.env.ORT_DISABLE_TELEMETRY = '1';

/** One thread inside an operator: engines and workers are the way to more cores, and two of them beat one with two (1.3-1.6x measured). */
const DEFAULT_OPTIONS: SessionOptions = { provider: 'cpu', intraOpThreads: 1 };

/** A runtime that has threads. */
export interface NodeRuntime extends Runtime {
  openOnWorkers: NonNullable<Runtime['openOnWorkers']>;
}

/**
 * Loads the native library on first use, so that a process that serves no model never pays for it. `native`: finds the
 * way to native sessions, or null for the public one.
 */
export async function createNodeRuntime(
  native: typeof loadNative = loadNative,
): Promise<NodeRuntime> {
  const ort = await import('onnxruntime-node');
  const openNative = await native(ort);
  return {
    name: 'onnxruntime-node',
    open: async (model, options = DEFAULT_OPTIONS) => {
      const profile = options.countNodes ? new Profile() : null;
      try {
        const ortOptions = { ...toOrtOptions(options), ...profile?.options };
        return openNative === null
          ? await openPublic(ort, model, ortOptions, { ...options, profile })
          : wrapNative(openNative, model, ortOptions, ort.Tensor, { ...options, profile });
      } catch (cause) {
        profile?.remove();
        throw cause;
      }
    },
    openOnWorkers,
  };
}

type OrtOptions = InferenceSession.SessionOptions;

interface Opening extends SessionOptions {
  readonly profile: Profile | null;
}

function toOrtOptions({ provider, intraOpThreads }: SessionOptions): OrtOptions {
  return {
    // Only what a provider can't run falls to the CPU then; a provider that is missing is an error.
    ...(provider === 'cpu' ? {} : { executionProviders: [provider] }),
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
  };
}

function wrapNative(
  open: OpenNative,
  model: Uint8Array | string,
  ortOptions: OrtOptions,
  TensorClass: typeof OrtTensor,
  { provider, profile }: Opening,
): Session {
  let native: NativeSession | null = open(model, ortOptions);
  const inputNames = native.inputMetadata.map(({ name }) => name);
  const outputNames = native.outputMetadata.map(({ name }) => name);
  const fetches = Object.fromEntries(outputNames.map((name) => [name, null]));
  const runSync = (inputs: ReadonlyMap<string, Tensor>): Map<string, Tensor> => {
    if (native === null) throw released();
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, tensor] of inputs) feeds[name] = toOrt(tensor, TensorClass);
    for (const name of inputNames) {
      if (feeds[name] === undefined) {
        throw new AgentError('engine', `the input "${name}" is missing`);
      }
    }
    return outputsOf(outputNames, native.run(feeds, fetches, {}));
  };
  return {
    provider,
    lanes: 0,
    runSync,
    // In a turn of its own, so that callers who run one after the other leave room for everything else.
    run: (inputs) =>
      new Promise((resolve, reject) => {
        setImmediate(() => {
          try {
            resolve(runSync(inputs));
          } catch (error) {
            reject(error);
          }
        });
      }),
    ...(profile === null
      ? {}
      : { nodes: async () => profile.finish(() => native?.endProfiling()) }),
    release: async () => {
      native?.dispose();
      native = null;
      profile?.remove();
    },
  };
}

async function openPublic(
  ort: typeof import('onnxruntime-node'),
  model: Uint8Array | string,
  ortOptions: OrtOptions,
  { provider, profile }: Opening,
): Promise<Session> {
  let session: InferenceSession | null =
    typeof model === 'string'
      ? await ort.InferenceSession.create(model, ortOptions)
      : await ort.InferenceSession.create(model, ortOptions);
  return {
    provider,
    lanes: 0,
    async run(inputs) {
      if (session === null) throw released();
      const feeds: Record<string, OrtTensor> = {};
      for (const [name, tensor] of inputs) feeds[name] = toOrt(tensor, ort.Tensor);
      return outputsOf(session.outputNames, await session.run(feeds));
    },
    ...(profile === null
      ? {}
      : { nodes: async () => profile.finish(() => session?.endProfiling()) }),
    release: async () => {
      const open = session;
      session = null;
      await open?.release();
      profile?.remove();
    },
  };
}

function outputsOf(
  names: readonly string[],
  fetched: Readonly<Record<string, OrtTensor>>,
): Map<string, Tensor> {
  const outputs = new Map<string, Tensor>();
  for (const name of names) outputs.set(name, fromOrt(fetched[name]));
  return outputs;
}

function released(): AgentError {
  return new AgentError('engine', 'the session has been released');
}

/** ONNX Runtime's own profile of the first runs, in a folder that is gone once it was read. */
class Profile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'driftline-profile-'));
  #counts: NodeCounts | null = null;

  get options(): OrtOptions {
    return { enableProfiling: true, profileFilePrefix: join(this.#folder, 'profile') };
  }

  /** `end` makes the session write its profile; from then on it costs nothing. */
  finish(end: () => void): NodeCounts {
    if (this.#counts === null) {
      end();
      this.#counts = countNodes(this.#folder);
      this.remove();
    }
    return this.#counts;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
