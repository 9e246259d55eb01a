import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LiveAgent } from './support/live-agent.ts';
import { mortgageBodies } from './support/mortgage.ts';
import {
  MEMORY_PARTS,
  memoryOf,
  type ProcessMemory,
  processTree,
} from './support/process-memory.ts';
import { atMost, machineLine, table, verdict } from './support/report.ts';

const QUESTION = 'How much memory does an agent with one engine hold while it waits for requests?';

const GOAL_MB = atMost(180);
/** After this nothing that starting up has left behind is still being cleared away. */
const IDLE_MS = 3_000;
const CALLS = 2_000;

const megabytes = (kib: number) => ((kib * 1024) / 1e6).toFixed(1);
const sum = (of: readonly number[]) => of.reduce((total, each) => total + each, 0);

function rows(when: string, processes: readonly ProcessMemory[]): string[][] {
  const total = {
    name: 'together',
    rssKiB: sum(processes.map((each) => each.rssKiB)),
    pssKiB: sum(processes.map((each) => each.pssKiB)),
    part: (name: (typeof MEMORY_PARTS)[number]) =>
      sum(processes.map((each) => each.partsKiB.get(name) ?? 0)),
  };
  const each = processes.map((one, at) => ({
    name: at === 0 ? 'supervisor' : 'engine',
    rssKiB: one.rssKiB,
    pssKiB: one.pssKiB,
    part: (name: (typeof MEMORY_PARTS)[number]) => one.partsKiB.get(name) ?? 0,
  }));
  return [...each, total].map(({ name, rssKiB, pssKiB, part }) => [
    when,
    name,
    megabytes(rssKiB),
    megabytes(pssKiB),
    ...MEMORY_PARTS.map((each) => megabytes(part(each))),
  ]);
}

async function settle(live: LiveAgent): Promise<ProcessMemory[]> {
  await new Promise((wake) => setTimeout(wake, IDLE_MS));
  return processTree(live.pid).map(memoryOf);
}

async function call(live: LiveAgent): Promise<boolean> {
  const bodies = await mortgageBodies();
  let faultless = true;
  for (let at = 0; at < CALLS; at += 1) {
    const response = await fetch(`${live.url}/v2/models/mortgage/infer`, {
      method: 'POST',
      body: new Uint8Array(bodies[at % bodies.length]),
    });
    faultless &&= response.ok;
    await response.arrayBuffer();
  }
  return faultless;
}

async function main(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'driftline-bench-'));
  const live = await LiveAgent.start(folder, 1);
  try {
    const idle = await settle(live);
    const faultless = await call(live);
    const after = await settle(live);
    const heading = ['', 'process', 'RSS MB', 'PSS MB', ...MEMORY_PARTS];
    const lines = [heading, ...rows('idle', idle), ...rows(`after ${CALLS} calls`, after)];
    const total = (of: readonly ProcessMemory[]) =>
      (sum(of.map(({ rssKiB }) => rssKiB)) * 1024) / 1e6;
    process.stdout.write(
      `${QUESTION}\n${machineLine({ server: null, load: null })}\n\n${table(lines)}\n\n` +
        `${verdict('RSS of supervisor and one engine, idle, MB', GOAL_MB, total(idle))}\n` +
        `${verdict(`the same after ${CALLS} calls, MB`, GOAL_MB, total(after))}\n`,
    );
    return faultless && idle.length === 2;
  } finally {
    await live.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
