import type { EngineProcess } from './engine-process.ts';

/**
 * Has engines refuse new requests, or take them again. Resolves with how many they still owe an answer. An engine that
 * can't follow the others is replaced, as at a commit.
 */
export async function drainEngines(
  engines: readonly EngineProcess[],
  draining: boolean,
): Promise<number> {
  const owed = await Promise.all(
    engines.map(async (engine) => {
      try {
        return (await engine.ask({ kind: 'drain', draining })).inFlight;
      } catch {
        // What it owed it takes along; a dead one is abandoned already.
        engine.abandon();
        return 0;
      }
    }),
  );
  return owed.reduce((sum, count) => sum + count, 0);
}
