import type { Digest } from '../../../protocol/ids.ts';
import { messageOf } from '../../error.ts';
import type { ModelToOpen, PreparedModel } from '../messages.ts';
import type { EngineProcess } from './engine-process.ts';
import { blamesOpening } from './watchdog.ts';

/** A model of gigabytes may take this long to open and warm up. */
export const PREPARE_TIMEOUT_MS = 600_000;

/**
 * Opens models in one engine. `served`: versions that engines have served, and that a crash is not blamed on. Empty
 * where the engine hung in something else: what the others say counts.
 */
export async function prepareIn(
  engine: Pick<EngineProcess, 'ask' | 'hang' | 'loading' | 'opening'>,
  models: readonly ModelToOpen[],
  served: ReadonlySet<Digest>,
): Promise<readonly PreparedModel[]> {
  const isNew = models.map(({ files }) => files.manifest).filter((each) => !served.has(each));
  engine.loading = new Set([...engine.loading, ...isNew]);
  engine.opening += 1;
  try {
    const reply = await engine.ask({ kind: 'prepare', models }, PREPARE_TIMEOUT_MS);
    engine.loading = new Set([...engine.loading].filter((each) => !isNew.includes(each)));
    return reply.models;
  } catch (error) {
    if (!blamesOpening(engine.hang)) return [];
    // The process died while loading: the likeliest cause is a model it was loading, not one that served before.
    const detail = messageOf(error);
    return models.map(({ files: { manifest } }) =>
      served.has(manifest)
        ? { manifest, outcome: 'ready' }
        : { manifest, outcome: 'refused', code: 'engine-crashed', detail },
    );
  } finally {
    engine.opening -= 1;
  }
}

/** One outcome for each version: ready only where every engine admitted it, in every way it is opened. */
export function commonOutcome(
  models: readonly ModelToOpen[],
  answers: readonly (readonly PreparedModel[])[],
): PreparedModel[] {
  const manifests = [...new Set(models.map(({ files }) => files.manifest))];
  return manifests.map((manifest) => {
    const outcomes = answers.flatMap((each) => each.filter((m) => m.manifest === manifest));
    const refused = outcomes.find((each) => each.outcome === 'refused');
    return refused ?? outcomes.at(0) ?? { manifest, outcome: 'ready' };
  });
}
