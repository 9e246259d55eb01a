import type { Session, Tensor } from '../runtime.ts';
import type { CompiledModel } from './compiled-model.ts';

/** A session that can also answer within the caller's own turn of the event loop. */
export interface CompiledSession extends Session {
  runSync(inputs: ReadonlyMap<string, Tensor>): Map<string, Tensor>;
}

/** The compiled model behind the interface that every runtime has. */
export function openCompiled(model: CompiledModel): CompiledSession {
  return {
    provider: 'cpu',
    lanes: 0,
    runSync: (inputs) => model.runSync(inputs),
    // `async`, so that a tensor that doesn't fit rejects, as with ONNX Runtime, and doesn't throw.
    run: async (inputs) => model.runSync(inputs),
    release: () => Promise.resolve(),
  };
}

/** Rows of one call up to which dense layers are faster here; beyond, ONNX Runtime's vector kernels win (bench/executor). */
export const MAX_DENSE_ROWS = 4;

/** Is a call of so many rows faster on the executor? Trees always are: no kernel of ONNX Runtime vectorises them. */
export function prefersExecutor(model: CompiledModel, rows: number): boolean {
  return model.multiplyAdds === 0 || rows <= MAX_DENSE_ROWS;
}

/**
 * Each call where it is faster: on the executor, or on the reference session that it was compared with, which computes
 * in this thread too. Owns the reference: `release` closes it.
 */
export function openFaster(model: CompiledModel, reference: Session): Session {
  const onExecutor = (inputs: ReadonlyMap<string, Tensor>) => {
    const [first] = inputs.values();
    return prefersExecutor(model, first?.shape[0] ?? 0);
  };
  const { runSync } = reference;
  return {
    provider: reference.provider,
    lanes: reference.lanes,
    run: async (inputs) => (onExecutor(inputs) ? model.runSync(inputs) : reference.run(inputs)),
    ...(runSync === undefined
      ? {}
      : { runSync: (inputs) => (onExecutor(inputs) ? model.runSync(inputs) : runSync(inputs)) }),
    release: () => reference.release(),
  };
}
