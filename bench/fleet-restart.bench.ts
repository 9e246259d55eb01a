import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_ADMISSION_RATE } from '../control-plane/link/admission-bucket.ts';
import { QUICK } from './support/bench.ts';
import { chooseCores } from './support/child.ts';
import { LiveControl } from './support/live-control.ts';
import { Cable } from './support/network.ts';
import { atMost, machineLine, table, verdict } from './support/report.ts';
import { onCore, simulate } from './support/simulation.ts';

const QUESTION =
  'The control plane is killed (-9) with a whole fleet linked, and starts again: how soon are all back, how many come in a second, and what does an idle host say in a day?';

const AGENTS = QUICK ? 300 : Number(process.env.BENCH_AGENTS ?? 2_000);
/** Until all are linked, the idle time that is measured, and the restart; the simulation ends after them. */
const SECONDS = QUICK ? 60 : 110;
const IDLE_MS = QUICK ? 15_000 : 45_000;
const LINKED_WITHIN_MS = 300_000;
const LOOK_EVERY_MS = 100;
/** No window ends while we look. */
const WINDOW_MS = 3_600_000;
const DAY_MS = 86_400_000;

interface Look {
  readonly ms: number;
  readonly linked: number;
}

/** Looks until all are linked; times since `begun`. */
async function linkUp(control: LiveControl, begun = performance.now()): Promise<Look[]> {
  const looks: Look[] = [];
  for (;;) {
    const linked = (await control.metric('driftline_agents_connected')) ?? 0;
    looks.push({ ms: performance.now() - begun, linked });
    if (linked === AGENTS) return looks;
    if (performance.now() - begun > LINKED_WITHIN_MS) throw new Error(`${linked} are linked`);
    await new Promise((wake) => setTimeout(wake, LOOK_EVERY_MS));
  }
}

/** Most that came within any second. */
function mostInASecond(looks: readonly Look[]): number {
  let most = 0;
  for (const [at, from] of looks.entries()) {
    for (const to of looks.slice(at)) {
      if (to.ms - from.ms <= 1000) most = Math.max(most, to.linked - from.linked);
    }
  }
  return most;
}

async function measure(control: LiveControl, cable: Cable | null) {
  await linkUp(control);
  await new Promise((wake) => setTimeout(wake, 5_000));
  const before = cable?.bytes ?? 0;
  await new Promise((wake) => setTimeout(wake, IDLE_MS));
  const bytes = (cable?.bytes ?? 0) - before;
  const killed = performance.now();
  await control.crash(0);
  const looks = await linkUp(control, killed);
  return {
    bytesADay: cable === null ? null : ((bytes / AGENTS) * DAY_MS) / IDLE_MS,
    backAfterMs: looks[looks.length - 1].ms,
    most: mostInASecond(looks),
  };
}

const cores = chooseCores();
process.stdout.write(`${QUESTION}\n${machineLine(cores)}; ${AGENTS} agents\n\n`);
const cable = Cable.lay();
const folder = await mkdtemp(join(tmpdir(), 'driftline-restart-'));
const control = await LiveControl.start(folder, cores.server, cable?.host);
try {
  await control.deployTwoVersions('mortgage', join(folder, 'mortgage'), WINDOW_MS);
  const before = [...(cable?.farEnd ?? []), ...onCore(cores.load)];
  const [fleet, { bytesADay, backAfterMs, most }] = await Promise.all([
    simulate(control, ['--agents', AGENTS, '--seconds', SECONDS], before),
    measure(control, cable),
  ]);
  const perDay = bytesADay === null ? '' : (bytesADay / 1000).toFixed(0);
  process.stdout.write(
    `${table([
      ['agents', 'first link of all s', 'all back s', 'most in a second', 'idle KB a day'],
      [
        `${fleet.connected} of ${fleet.agents}`,
        (fleet.linkedAfterMs / 1000).toFixed(1),
        (backAfterMs / 1000).toFixed(1),
        String(most),
        perDay,
      ],
    ])}\n\n`,
  );
  const { perSecond, burst } = DEFAULT_ADMISSION_RATE;
  process.stdout.write(`${verdict('all back, s', atMost(30), backAfterMs / 1000)}\n`);
  process.stdout.write(`${verdict('most in a second', atMost(perSecond + burst), most)}\n`);
  if (bytesADay === null) process.stdout.write('bytes: network namespaces need root\n');
  else
    process.stdout.write(
      `${verdict('KB an idle agent a day, both ways, with TCP, IP and Ethernet', atMost(500), bytesADay / 1000)}\n`,
    );
} finally {
  await control.stop();
  cable?.remove();
  await rm(folder, { recursive: true, force: true });
}
