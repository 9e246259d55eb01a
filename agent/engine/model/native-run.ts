import { createRequire } from 'node:module';
import type * as OnnxRuntime from 'onnxruntime-node';

/**
 * The object behind `InferenceSession`, which is no public API of onnxruntime-node. `session.run` calls its `run`, which
 * computes in the calling thread, from a `setImmediate` of its own; calling it directly saves about a seventh of a small
 * call and lets many calls share one turn of the event loop.
 */
export interface NativeSession {
  run(feeds: Feeds, fetches: Fetches, options: object): Record<string, OnnxRuntime.Tensor>;
  endProfiling(): void;
  dispose(): void;
  readonly inputMetadata: readonly { readonly name: string }[];
  readonly outputMetadata: readonly { readonly name: string }[];
}

type Feeds = Readonly<Record<string, OnnxRuntime.Tensor>>;
type Fetches = Readonly<Record<string, null>>;
type Options = OnnxRuntime.InferenceSession.SessionOptions;

interface Unopened extends NativeSession {
  loadModel(path: string, options: Options): void;
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: Options): void;
}

export type OpenNative = (model: Uint8Array | string, options: Options) => NativeSession;

interface Binding {
  readonly InferenceSession: new () => Unopened;
}

/** `y = x * x` of a float [N,2]. */
const PROBE = Buffer.from(
  'CAg6RAoQCgF4CgF4EgF5IgNNdWw6ABIEdGVzdFoUCgF4Eg8KDQgBEgkKAxIBTgoCCAJiFAoBeRIPCg0IARIJCgMSAU4KAggCQgQKABARQg4KCmFpLm9ubngubWwQAw==',
  'base64',
);

type Ort = Pick<typeof OnnxRuntime, 'InferenceSession' | 'Tensor'>;

/**
 * The way to native sessions, or null where this release of onnxruntime-node is not built as expected or does not
 * answer a probe exactly as `session.run` does.
 */
export async function loadNative(ort: Ort, load = requireBinding): Promise<OpenNative | null> {
  try {
    const { InferenceSession } = load();
    const open: OpenNative = (model, options) => {
      const session = new InferenceSession();
      if (typeof model === 'string') session.loadModel(model, options);
      else session.loadModel(model.buffer, model.byteOffset, model.byteLength, options);
      return session;
    };
    return (await answersAlike(ort, open)) ? open : null;
  } catch {
    // Private API: whatever it does other than expected has one answer, the public one.
    return null;
  }
}

function requireBinding(): Binding {
  const module = createRequire(import.meta.url)('onnxruntime-node/dist/binding.js') as {
    binding: Binding;
    initOrt(): void;
  };
  module.initOrt();
  return module.binding;
}

async function answersAlike(ort: Ort, open: OpenNative): Promise<boolean> {
  const reference = await ort.InferenceSession.create(PROBE);
  const native = open(PROBE, {});
  const x = new ort.Tensor('float32', Float32Array.of(1.5, -2, 0.1, 3e-7, 7, 1e30), [3, 2]);
  const { y: want } = await reference.run({ x });
  const { y: got } = native.run({ x }, { y: null }, {});
  const names = [native.inputMetadata, native.outputMetadata].map((ports) => ports[0]?.name);
  native.dispose();
  await reference.release();
  const values = Array.from(want.data as Float32Array);
  return (
    names.join() === 'x,y' &&
    got.type === want.type &&
    got.dims.join() === want.dims.join() &&
    got.data.length === values.length &&
    values.every((value, at) => Object.is(value, got.data[at]))
  );
}
