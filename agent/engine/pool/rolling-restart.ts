import { AgentError, messageOf } from '../../error.ts';
import type { EngineProcess } from './engine-process.ts';

/** How a pool starts an engine that serves what the others serve, and ends one. */
export interface Replacing {
  /** Resolves once it takes connections. */
  start(): Promise<void>;
  /** Resolves when it has answered what it had, and is gone. */
  end(engine: EngineProcess): Promise<void>;
}

/**
 * A new process for each of these, one after another: a successor serves before its predecessor ends, so that there is
 * never one fewer. Resolves with how many have one. Throws `AgentError` 'engine' where a successor can't start; the rest
 * stay as they are.
 */
export async function restartOneByOne(
  engines: readonly EngineProcess[],
  { start, end }: Replacing,
): Promise<number> {
  let restarted = 0;
  for (const engine of engines) {
    // It died meanwhile, or was one too many.
    if (!engine.joined) continue;
    try {
      await start();
    } catch (cause) {
      const told = `${restarted} restarted; the next could not start: ${messageOf(cause)}`;
      throw new AgentError('engine', told, { cause });
    }
    await end(engine);
    restarted += 1;
  }
  return restarted;
}
