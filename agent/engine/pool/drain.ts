import type { EngineProcess } from './engine-process.ts';

/**
 * Has engines refuse new requests, or take them again. Resolves with how many they still owe an answer, as far as they
 * say. None is ended for being slow: what it computes is what is waited for.
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
        // Dead, it owes nothing. Alive, it computes in its own thread, and follows when it is done.
        return engine.connected ? Math.max(1, engine.waiting) : 0;
      }
    }),
  );
  return owed.reduce((sum, count) => sum + count, 0);
}
