import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentError, messageOf } from '../error.ts';
import {
  type RollbackPlan,
  readSimulationConfig,
  SIMULATE_USAGE,
  type SimulationConfig,
} from './config.ts';
import { ControlApi } from './control-api.ts';
import { SimulatedFleet } from './fleet.ts';
import { PeakLoad } from './peak-load.ts';
import { type Rollback, type SimulationResult, sayResult, spreadOf } from './result.ts';

/** How long agents may take to link, and what waits to be acknowledged at the end. */
const LINK_WITHIN_MS = 180_000;
const SETTLE_WITHIN_MS = 120_000;
const ROLLBACK_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 100;

/** `simulate`: runs a fleet of virtual agents. Returns the exit code. */
export async function runSimulation(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(SIMULATE_USAGE);
    return 0;
  }
  try {
    const config = readSimulationConfig(argv, env);
    const isJson = argv.includes('--json');
    const say = (line: string) => {
      if (!isJson) process.stderr.write(`${line}\n`);
    };
    const result = await simulate(config, say);
    process.stdout.write(isJson ? `${JSON.stringify(result)}\n` : sayResult(result));
    const isExact = result.windowsProduced === result.windowsMerged;
    return isExact && result.connected === result.agents ? 0 : 1;
  } catch (error) {
    process.stderr.write(`driftline simulate: ${messageOf(error)}\n`);
    return error instanceof AgentError && error.kind === 'configuration' ? 2 : 1;
  }
}

/** Identities and outboxes are real files: where there is one, on a disk in memory. */
async function workFolder(): Promise<string> {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  return mkdtemp(join(base, 'driftline-simulate-'));
}

async function simulate(
  config: SimulationConfig,
  say: (line: string) => void,
): Promise<SimulationResult> {
  const api = new ControlApi(config.controlUrl, config.apiToken);
  const folder = await workFolder();
  const label = randomBytes(4).toString('hex');
  const load = new PeakLoad(api);
  const startedMs = Date.now();
  let stop = async (): Promise<void> => undefined;
  try {
    await load.before();
    say(`asking for ${config.agents} join tokens`);
    const fleet = await SimulatedFleet.create(config, api, folder, label, () => undefined);
    stop = () => fleet.stop();
    const linkedAfterMs = await link(fleet, config.agents, say);
    const connected = fleet.online;
    load.start();
    fleet.crashEveryMinute(config.faults.crashes);
    const quietEnds = () => load.endOfQuiet();
    const rollback = await during(fleet, api, config, `sim-${label}-`, quietEnds, say);
    const deployments = fleet.deployments;
    await fleet.stopTraffic();
    await until(() => fleet.pending === 0, SETTLE_WITHIN_MS);
    const { produced, pending, lost, failures } = fleet;
    const controlPlane = await load.end(config.agents);
    const fromMs = startedMs - 86_400_000 - config.faults.skewMs;
    const merged = await Promise.all(
      deployments.map((name) => api.mergedWindows(name, `simulation=${label}`, fromMs)),
    );
    return {
      agents: config.agents,
      connected,
      linkedAfterMs,
      windowsProduced: produced,
      windowsMerged: merged.reduce((sum, windows) => sum + windows, 0),
      windowsWaiting: pending,
      windowsDropped: lost,
      duplicatesRefused: controlPlane.duplicates,
      rollback,
      controlPlane: controlPlane.figures,
      failures: Object.fromEntries(failures),
    };
  } finally {
    load.stop();
    // Whatever went wrong is told, and not that a folder could not be removed in which agents still write.
    await stop().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

async function link(fleet: SimulatedFleet, agents: number, say: (line: string) => void) {
  const start = performance.now();
  await fleet.start();
  await until(() => fleet.online === agents, LINK_WITHIN_MS);
  const afterMs = Math.round(performance.now() - start);
  say(`${fleet.online} of ${agents} linked after ${(afterMs / 1000).toFixed(1)} s`);
  return afterMs;
}

/** Traffic for as long as was asked; in its middle, the way back and the way forward again. */
async function during(
  fleet: SimulatedFleet,
  api: ControlApi,
  config: SimulationConfig,
  prefix: string,
  quietEnds: () => void,
  say: (line: string) => void,
): Promise<SimulationResult['rollback']> {
  const endMs = performance.now() + config.seconds * 1000;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
  await pause((config.seconds * 1000) / 2);
  quietEnds();
  const result =
    config.rollback === null ? null : await rollBack(fleet, api, config.rollback, prefix);
  if (result !== null) say(`taken back: ${result.confirmed} agents confirmed`);
  await pause(endMs - performance.now());
  return result;
}

type Measured = Omit<Rollback, 'p99OfEachMs' | 'leastConfirmed'>;

/** Back and forth; of those that were measured, the median by the p99 of acknowledgements. */
async function rollBack(
  fleet: SimulatedFleet,
  api: ControlApi,
  { deployment, version, times }: RollbackPlan,
  prefix: string,
): Promise<Rollback> {
  const present = await api.deployedVersion(deployment);
  const move = (to: number) =>
    fleet.measure(() => api.rollback(deployment, to), ROLLBACK_WITHIN_MS);
  // Not measured: the first ones run code that has never run.
  await move(version);
  await move(present);
  const measured: Measured[] = [];
  for (let at = 0; at < times; at += 1) {
    const moved = await move(at % 2 === 0 ? version : present);
    const acknowledgedMs = await api.confirmedAfterMs(deployment, moved.generation, prefix);
    const { confirmed: _, ...told } = spreadOf(moved.toldMs);
    const acknowledged = spreadOf(acknowledgedMs);
    const { verifiedLate } = moved;
    measured.push({ ...spreadOf(moved.afterMs), told, acknowledged, verifiedLate });
  }
  if (times % 2 === 1) await move(present);
  const p99OfEachMs = measured.map(({ acknowledged }) => acknowledged.p99Ms);
  // One that not all have confirmed was slower than it looks.
  const slower = (one: Measured, other: Measured) =>
    other.acknowledged.confirmed - one.acknowledged.confirmed ||
    one.acknowledged.p99Ms - other.acknowledged.p99Ms;
  const leastConfirmed = Math.min(...measured.map(({ acknowledged }) => acknowledged.confirmed));
  return { ...measured.sort(slower)[Math.floor(times / 2)], p99OfEachMs, leastConfirmed };
}

async function until(holds: () => boolean, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (!holds() && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
