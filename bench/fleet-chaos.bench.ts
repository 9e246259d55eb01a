import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QUICK } from './support/bench.ts';
import { LiveControl } from './support/live-control.ts';
import { Cable } from './support/network.ts';
import { machineLine, table } from './support/report.ts';
import { simulate } from './support/simulation.ts';

const QUESTION =
  'Is every window counted exactly once when agents crash, clocks are off, frames are lost, repeated and swapped, the control plane is killed and the cable is pulled, again and again?';

const AGENTS = QUICK ? 40 : Number(process.env.BENCH_AGENTS ?? 200);
const WINDOW_MS = 2_000;
const SECONDS = QUICK ? 40 : Number(process.env.BENCH_SECONDS ?? 120);
/** How long it takes until the same happens again. */
const ROUND_MS = QUICK ? 40_000 : 120_000;
/** Longer than either side takes to call a silent link dead (30 and 45 s). */
const PULLED_MS = QUICK ? 5_000 : 50_000;
const FAULTS = [
  ...['--drop', '0.005', '--duplicate', '0.05', '--reorder', '0.05', '--delay', '10'],
  ...['--skew', '90000', '--crashes', '0.5'],
];

const wait = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

/** What happens besides, while agents are at work. How many times. */
async function mishaps(control: LiveControl, cable: Cable | null): Promise<number> {
  const rounds = Math.max(1, Math.floor((SECONDS * 1000) / ROUND_MS));
  for (let round = 1; round <= rounds; round += 1) {
    const startMs = performance.now();
    await mishap(control, cable);
    if (round < rounds) await wait(ROUND_MS - (performance.now() - startMs));
  }
  return rounds;
}

/** Twice killed, and in between unreachable. */
async function mishap(control: LiveControl, cable: Cable | null): Promise<void> {
  await wait(ROUND_MS / 5);
  await control.crash(2_000);
  if (cable !== null) {
    await wait(3_000);
    cable.pulled = true;
    await wait(PULLED_MS);
    cable.pulled = false;
  }
  await wait(5_000);
  await control.crash(500);
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
const cable = Cable.lay();
const folder = await mkdtemp(join(tmpdir(), 'driftline-chaos-'));
try {
  const control = await LiveControl.start(folder, null, cable?.host);
  await control.deployTwoVersions('mortgage', join(folder, 'mortgage'), WINDOW_MS);
  const [fleet, rounds] = await Promise.all([
    simulate(control, ['--agents', AGENTS, '--seconds', SECONDS, ...FAULTS], cable?.farEnd),
    mishaps(control, cable),
  ]);
  await control.stop();
  const missing = fleet.windowsProduced - fleet.windowsMerged;
  process.stdout.write(
    `${table([
      ['agents', 'seconds', 'windows made', 'merged', 'lost or counted twice', 'came again'],
      [
        `${fleet.connected} of ${fleet.agents}`,
        String(SECONDS),
        String(fleet.windowsProduced),
        String(fleet.windowsMerged),
        String(missing),
        String(fleet.duplicatesRefused),
      ],
    ])}\n\n${FAULTS.join(' ')}; the control plane killed (-9) ${2 * rounds} times; ${
      cable === null
        ? 'no cable was pulled: network namespaces need root'
        : `the cable pulled ${rounds} times for ${PULLED_MS / 1000} s`
    }\n`,
  );
  if (missing !== 0 || fleet.windowsProduced === 0) process.exitCode = 1;
} finally {
  cable?.remove();
  await rm(folder, { recursive: true, force: true });
}
