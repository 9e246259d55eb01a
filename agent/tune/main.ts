import type { TuningRequest } from '../command/tuning-process.ts';
import { createNodeRuntime } from '../engine/model/runtime-node.ts';
import { AgentError, messageOf } from '../error.ts';
import { tuneVersion } from './tune-version.ts';

/** Long enough for a table of a model of milliseconds on four cores, short enough to wait for. */
const BUDGET_MS = 20_000;
/** The engines' memory is theirs: of what the host has left, half. */
const MEMORY_SHARE = 0.5;

/**
 * `tune`: measures how a version is best executed on this host. A process of its own, started by the agent with the
 * files to open as JSON. Prints one line of JSON; returns the exit code.
 */
export async function runTune(argv: readonly string[]): Promise<number> {
  try {
    const request = readRequest(argv);
    const memoryBytes = MEMORY_SHARE * process.availableMemory();
    const runtime = await createNodeRuntime();
    const tuning = await tuneVersion(runtime, { ...request, budgetMs: BUDGET_MS, memoryBytes });
    await say({ ok: true, tuning });
    return 0;
  } catch (error) {
    await say({ ok: false, error: messageOf(error) });
    return 1;
  }
}

/** Resolves when the line has left: the caller ends the process. */
function say(result: object): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(result)}\n`, () => resolve());
  });
}

/** Written by this package's own agent, so its shape is trusted. */
function readRequest([text]: readonly string[]): TuningRequest {
  if (text === undefined) {
    throw new AgentError('configuration', 'the agent starts "tune"; people call "driftline tune"');
  }
  return JSON.parse(text) as TuningRequest;
}
