import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnergyMeter } from '../../../agent/engine/energy.ts';
import { temporaryFolder } from '../../support/mortgage.ts';

const RANGE_UJ = 1_000_000_000;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const zone = async (name: string, energyUj: number | string) => {
  await mkdir(join(folder.path, name), { recursive: true });
  await writeFile(join(folder.path, name, 'energy_uj'), `${energyUj}\n`);
  await writeFile(join(folder.path, name, 'max_energy_range_uj'), `${RANGE_UJ}\n`);
};
/** Ticks of 10 ms that the host's processors were busy; idle and iowait are none of it. */
const stat = async (user: number) => {
  const line = `cpu  ${user} 0 0 ${user * 7} ${user * 3} 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 0 0 0\n`;
  await writeFile(join(folder.path, 'stat'), line);
};
const open = () => EnergyMeter.open(folder.path, join(folder.path, 'stat'));

/** Uses this process's processor for a while, so that it has a share of the host's time. */
function burn(): number {
  const before = process.cpuUsage();
  const used = () => {
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  while (used() < 60_000);
  return used();
}

describe('energy from a folder of powercap', () => {
  it('is that of the packages, by this process’s share of the host’s busy time', async () => {
    await zone('intel-rapl:0', 5_000_000);
    await zone('intel-rapl:1', 100);
    // A part of a package is counted within it, and another driver's zone is not a package.
    await zone('intel-rapl:0:0', 0);
    await zone('psys', 0);
    await stat(1000);
    const meter = open();
    await zone('intel-rapl:0', 8_000_000);
    await zone('intel-rapl:1', 1_000_100);
    await zone('intel-rapl:0:0', 900_000_000);
    await zone('psys', 900_000_000);
    const ownUs = burn();
    // Ten times what this process burnt, in ticks.
    await stat(1000 + Math.round((10 * ownUs) / 10_000));
    const joules = meter?.read() ?? 0;
    expect(joules).toBeGreaterThan(0.3);
    expect(joules).toBeLessThan(0.8);
  });

  it('goes on where a counter has begun anew', async () => {
    await zone('intel-rapl:0', RANGE_UJ - 1_000_000);
    await stat(0);
    const meter = open();
    await zone('intel-rapl:0', 2_000_000);
    burn();
    // Less than the process's own clock says: its share is then all of it.
    await stat(1);
    expect(meter?.read()).toBeCloseTo(3, 9);
  });

  it('is 0 where the host was not busy, and each reading begins where the last one ended', async () => {
    await zone('intel-rapl:0', 0);
    await stat(50);
    const meter = open();
    await zone('intel-rapl:0', 4_000_000);
    expect(meter?.read()).toBe(0);
    await stat(51);
    expect(meter?.read()).toBe(0);
  });

  it('is null where there are no counters, they are no numbers, or they have gone', async () => {
    await stat(1);
    expect(open()).toBeNull();
    expect(EnergyMeter.open(join(folder.path, 'nowhere'))).toBeNull();
    await zone('intel-rapl:0', 'much');
    expect(open()).toBeNull();
    await zone('intel-rapl:0', 1);
    const meter = open();
    await rm(join(folder.path, 'intel-rapl:0'), { recursive: true });
    expect(meter?.read()).toBeNull();
  });
});
