import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchChild, type Cores, chooseCores } from './child.ts';
import type { Load } from './compare.ts';
import type { LoadCommand, StreamResult } from './load.ts';
import { cpuTicks, shareOfOthers } from './others.ts';
import { machineLine } from './report.ts';
import { joinRequests } from './requests.ts';

/** Fewer and shorter windows: to see that a benchmark works, not to quote it. */
export const QUICK = process.argv.includes('--quick');

/** What a benchmark of servers runs in: a folder, cores, a load generator; everything started here is stopped. */
export interface Bench {
  readonly folder: string;
  readonly cores: Cores;
  readonly load: Load;
  /** Has it stopped at the end, last come first. */
  owns<T extends { stop(): Promise<void> }>(child: T): T;
  /** The path of a file that a stream may name. */
  requestFile(name: string, requests: readonly Buffer[]): Promise<string>;
}

/** Runs `body`; the exit code is 1 when it returned false, which is for wrong answers and never for low figures. */
export async function runBench(
  question: string,
  body: (bench: Bench) => Promise<boolean>,
): Promise<void> {
  const cores = chooseCores();
  const folder = await mkdtemp(join(tmpdir(), 'driftline-bench-'));
  const owned: { stop(): Promise<void> }[] = [];
  const before = cpuTicks();
  try {
    process.stdout.write(`${question}\n${machineLine(cores)}${QUICK ? '; quick' : ''}\n\n`);
    const started = await BenchChild.start<LoadCommand, StreamResult[]>('load.js', cores.load);
    owned.push(started.child);
    const faultless = await body({
      folder,
      cores,
      load: started.child,
      owns(child) {
        owned.push(child);
        return child;
      },
      async requestFile(name, requests) {
        const path = join(folder, `${name}.requests`);
        await writeFile(path, joinRequests(requests));
        return path;
      },
    });
    if (!faultless) process.exitCode = 1;
  } finally {
    for (const child of owned.reverse()) await child.stop();
    await rm(folder, { recursive: true, force: true });
    const after = cpuTicks();
    if (before !== null && after !== null) {
      const percent = (shareOfOthers(before, after) * 100).toFixed(0);
      process.stdout.write(`CPU time of this machine that others took meanwhile: ${percent}%\n`);
    }
  }
}
