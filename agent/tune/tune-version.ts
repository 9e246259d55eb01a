import { readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Manifest, parseManifest } from '../../protocol/manifest.ts';
import { isPipeline } from '../../protocol/pipeline/manifest-fits.ts';
import type { Tuning, TuningRow } from '../../protocol/tuning.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { admit } from '../engine/model/admission.ts';
import { goldenInputs, parseGolden } from '../engine/model/golden.ts';
import { batchable, syntheticRow, type Tensors } from '../engine/model/rows.ts';
import type { Runtime } from '../engine/model/runtime.ts';
import type { Slot } from '../engine/model/slot.ts';
import { AgentError, messageOf } from '../error.ts';
import { BATCH_SIZES, type Combination, combinationsFor, showCombination } from './combinations.ts';
import { repeatedRows, rowsInCall } from './inputs.ts';
import { measure } from './measure.ts';
import { recommend } from './recommend.ts';

export interface TuneOptions {
  readonly version: number;
  readonly files: ModelFiles;
  /** For the whole table; what does not fit into it is left out and named. */
  readonly budgetMs: number;
  /** Of this process; a combination that is expected to pass it is left out and named. */
  readonly memoryBytes: number;
  readonly cores?: number;
}

/** A session's weights, and what the runtime packs of them. */
const BYTES_PER_MODEL_BYTE = 2.5;
/** The share of what is left that one of so many measurements may take. */
const slice = (leftMs: number, among: number) => Math.max(0, leftMs) / Math.max(1, among);

/**
 * Measures a version in every sensible placement and batch size, as engines would run it: through the same admission,
 * so that golden rows agree and our own executor is used where it is admitted. Throws `Refusal` when nothing opens.
 */
export async function tuneVersion(runtime: Runtime, options: TuneOptions): Promise<Tuning> {
  const table = new TuningTable(runtime, options);
  return table.fill();
}

class TuningTable {
  readonly #runtime: Runtime;
  readonly #options: TuneOptions;
  readonly #cores: number;
  readonly #endMs: number;
  readonly #rows: TuningRow[] = [];
  readonly #leftOut: string[] = [];
  #rowsIndependent = false;
  #refusal: unknown = null;
  /** Inline it runs in our own executor, which has no threads to set. */
  #ownExecutor = false;

  constructor(runtime: Runtime, options: TuneOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#cores = options.cores ?? availableParallelism();
    this.#endMs = performance.now() + options.budgetMs;
  }

  async fill(): Promise<Tuning> {
    const { files, version } = this.#options;
    if (isPipeline(parseManifest(await readFile(files.manifestPath)))) {
      throw new AgentError('engine', 'a pipeline computes nothing itself: tune its steps');
    }
    const modelBytes = (await stat(files.modelPath)).size;
    const golden = await this.#golden();
    const combinations = combinationsFor(this.#cores);
    for (const [at, combination] of combinations.entries()) {
      const reason = this.#cannot(combination, modelBytes);
      if (reason !== null) this.#leftOut.push(`${showCombination(combination)}: ${reason}`);
      else await this.#measureAt(combination, golden, combinations.length - at);
    }
    if (this.#rows.length === 0) throw this.#refusal ?? new Error(this.#leftOut.join('; '));
    const leftOut = this.#leftOut.length === 0 ? null : this.#leftOut.join('; ');
    return {
      version,
      manifest: files.manifest,
      cores: this.#cores,
      rowsIndependent: this.#rowsIndependent,
      rows: this.#rows,
      ...recommend(this.#rows),
      leftOut,
    };
  }

  async #golden(): Promise<Tensors | null> {
    const path = this.#options.files.goldenPath;
    return path === null ? null : goldenInputs(parseGolden(await readFile(path)));
  }

  /** Why a combination is not tried; null: it is. */
  #cannot({ placement, workers, intraOpThreads }: Combination, modelBytes: number): string | null {
    if (placement === 'inline' && intraOpThreads > 1 && this.#ownExecutor) {
      return 'as with one, in the TypeScript executor';
    }
    if (this.#rows.length > 0 && performance.now() > this.#endMs) return 'no time left';
    const more = BYTES_PER_MODEL_BYTE * modelBytes * Math.max(1, workers);
    const { memoryBytes } = this.#options;
    if (process.memoryUsage.rss() + more <= memoryBytes) return null;
    return `would take more than the ${Math.round(memoryBytes / 2 ** 20)} MiB left to it`;
  }

  async #measureAt(combination: Combination, golden: Tensors | null, left: number): Promise<void> {
    const until = performance.now() + slice(this.#endMs - performance.now(), left);
    try {
      const slot = await this.#open(combination);
      try {
        await this.#measureSlot(combination, slot, golden, until);
      } finally {
        await slot.retire();
      }
    } catch (error) {
      this.#refusal ??= error;
      this.#leftOut.push(`${showCombination(combination)}: ${messageOf(error)}`);
    }
  }

  async #measureSlot(
    combination: Combination,
    slot: Slot,
    golden: Tensors | null,
    until: number,
  ): Promise<void> {
    const { manifest, rowsIndependent } = slot;
    this.#rowsIndependent = rowsIndependent;
    this.#ownExecutor ||= slot.placement.executor === 'typescript';
    const share = batchable(manifest) && rowsIndependent;
    await this.#measureSizes(combination, slot, golden, share ? BATCH_SIZES : [1], until);
  }

  #open({ placement, workers, intraOpThreads }: Combination): Promise<Slot> {
    const { files } = this.#options;
    const execution = {
      placement,
      workers: Math.max(1, workers),
      intraOpThreads,
      providers: ['cpu' as const],
    };
    return admit(this.#runtime, { files, execution }, { engines: 1, cores: this.#cores });
  }

  async #measureSizes(
    combination: Combination,
    slot: Slot,
    golden: Tensors | null,
    sizes: readonly number[],
    until: number,
  ): Promise<void> {
    let lastMs = 0;
    for (const [at, size] of sizes.entries()) {
      const leftMs = until - performance.now();
      // Twice the rows take at most twice the time; five calls are the fewest that say something.
      if (at > 0 && 5 * 2 * lastMs > leftMs) {
        const from = `from ${size} rows a call`;
        this.#leftOut.push(`${showCombination(combination)} ${from}: no time left`);
        return;
      }
      const inputs = inputsFor(slot.manifest, golden, size);
      const budgetMs = slice(leftMs, sizes.length - at);
      const { callUs, callsPerSecond } = await measure(slot.session, inputs, budgetMs);
      const batchSize = rowsInCall(inputs);
      const rowsPerSecond = callsPerSecond * batchSize;
      this.#rows.push({ ...combination, batchSize, callUs, rowsPerSecond });
      lastMs = callUs / 1000;
    }
  }
}

function inputsFor(manifest: Manifest, golden: Tensors | null, rows: number): Tensors {
  if (batchable(manifest)) return repeatedRows(manifest, golden, rows);
  return golden ?? syntheticRow(manifest);
}
