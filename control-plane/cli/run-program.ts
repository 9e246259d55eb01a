import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { AGENT_PROGRAM, CONTROL_PROGRAM } from './programs.ts';

const PROGRAMS = {
  control: [CONTROL_PROGRAM],
  agent: [AGENT_PROGRAM],
  simulate: [AGENT_PROGRAM, 'simulate'],
};

/** Runs a process of ours in the foreground, with its own options; returns its exit code. */
export async function runProgram(
  kind: keyof typeof PROGRAMS,
  argv: readonly string[],
): Promise<number> {
  const child = spawn(process.execPath, [...PROGRAMS[kind], ...argv], { stdio: 'inherit' });
  // Ctrl-C reaches both; what a process manager sends reaches only us.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = await once(child, 'exit');
  return code ?? 1;
}
