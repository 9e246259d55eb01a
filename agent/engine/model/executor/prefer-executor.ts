import type { Manifest } from '../../../../protocol/manifest.ts';
import type { Profile } from '../../../../protocol/profile.ts';
import { Refusal } from '../../../error.ts';
import { checkGolden, type Golden, goldenInputs } from '../golden.ts';
import type { Session } from '../runtime.ts';
import { medianRunUs, oneRow, untilOptimised } from '../warm-up.ts';
import { agrees } from './admit-executor.ts';
import { baselineRows } from './baseline-rows.ts';
import { compileModel } from './compile.ts';
import type { CompiledModel } from './compiled-model.ts';
import { mayExecute } from './executor-record.ts';
import { openCompiled, openFaster } from './open-compiled.ts';

/** A model in TypeScript that agreed with ONNX Runtime. */
export interface Executor {
  readonly compiled: CompiledModel;
  /** Median time of one row. */
  readonly runUs: number;
  /** It is the quicker one for any number of rows: ONNX Runtime's session need not stay open. */
  readonly alone: boolean;
}

interface Documents {
  readonly manifest: Manifest;
  readonly profile: Profile | null;
  readonly golden: Golden;
}

/**
 * The model compiled for execution here, or null where it can't be, where it was not found to agree on the rows of the
 * baseline when the version was described, or where its answers differ from the reference's on the golden rows or on
 * rows drawn from the baseline, or from the golden outputs. The reference's errors are thrown.
 */
export async function agreedExecutor(
  model: Uint8Array,
  reference: Session,
  { manifest, profile, golden }: Documents,
): Promise<Executor | null> {
  if (!mayExecute(golden.executor)) return null;
  const compiled = compileModel(model);
  if (compiled === null) return null;
  const inputs = goldenInputs(golden);
  const drawn = profile === null ? null : baselineRows(manifest, profile, inputs);
  const agreement = await agrees(compiled, reference, drawn === null ? [inputs] : [inputs, drawn]);
  if (agreement.kind === 'differs') return null;
  const session = openCompiled(compiled);
  if (!(await meetsGolden(session, golden))) return null;
  const row = oneRow(manifest, golden);
  await untilOptimised(() => session.runSync(row));
  const runUs = await medianRunUs(session, row);
  return { compiled, runUs, alone: compiled.multiplyAdds === 0 };
}

/** Agreement within 1e-6 is no agreement where a version asks for more. */
async function meetsGolden(session: Session, golden: Golden): Promise<boolean> {
  try {
    await checkGolden(session, golden);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

/** What serves: the executor, with the reference for the calls in which that is quicker. */
export function withExecutor(executor: Executor, reference: Session | null): Session {
  return reference === null
    ? openCompiled(executor.compiled)
    : openFaster(executor.compiled, reference);
}
