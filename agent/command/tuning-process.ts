import { spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Tuning, tuningSchema } from '../../protocol/tuning.ts';
import { describe } from '../../protocol/wire.ts';
import type { ModelFiles } from '../engine/messages.ts';
import { AgentError } from '../error.ts';

/** This package's own program, beside this file's own build. */
const AGENT_PROGRAM = fileURLToPath(new URL('../main.js', import.meta.url));
/** The process ends itself after 20 s of measuring; one that hangs in a native call is ended after this. */
const KILL_AFTER_MS = 60_000;
/** A table is some tens of kilobytes. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** Where the tuning process finds a version, and what it is. */
export interface TuningRequest {
  readonly version: number;
  readonly files: ModelFiles;
}

export interface TuningProcess {
  readonly result: Promise<Tuning>;
  kill(): void;
}

const saidSchema = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), tuning: tuningSchema }),
  z.object({ ok: z.literal(false), error: z.string() }),
]);

/**
 * Measures in a process of its own, below the engines' priority: a model that is slow, large or crashes there takes
 * nothing from those that serve. `result` rejects with `AgentError` 'engine' that says what went wrong.
 */
export function startTuning(request: TuningRequest, program = AGENT_PROGRAM): TuningProcess {
  const child = spawn(process.execPath, [program, 'tune', JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: KILL_AFTER_MS,
    killSignal: 'SIGKILL',
  });
  lower(child.pid);
  const result = Promise.all([
    tailOf(child.stdout),
    tailOf(child.stderr),
    new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(signal ?? String(code)));
    }),
  ]).then(([out, err, end]) => readResult(out, err, end));
  return { result, kill: () => child.kill('SIGKILL') };
}

function lower(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It may have ended already, and a host may forbid it; measuring at full priority is no failure.
  }
}

function readResult(out: string, err: string, end: string): Tuning {
  const last = out.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) {
    const why = err.trim().slice(-500) || 'it said nothing';
    throw new AgentError('engine', `the tuning process ended with ${end}: ${why}`);
  }
  const said = saidSchema.safeParse(JSON.parse(last));
  if (!said.success) {
    throw new AgentError(
      'engine',
      `the tuning process said what no table is: ${describe(said.error)}`,
    );
  }
  if (!said.data.ok) throw new AgentError('engine', said.data.error);
  return said.data.tuning;
}

/** What a stream ends with, at most `MAX_OUTPUT_BYTES` of it. */
async function tailOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let tail = Buffer.alloc(0);
  for await (const chunk of stream) {
    tail = Buffer.concat([tail, chunk]).subarray(-MAX_OUTPUT_BYTES);
  }
  return tail.toString('utf8');
}
