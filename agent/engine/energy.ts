import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where Linux shows the energy counters of processors (Documentation/power/powercap/powercap.rst). */
const POWERCAP = '/sys/class/powercap';
const PROC_STAT = '/proc/stat';
/** A whole processor package; parts of it (`intel-rapl:0:1`) are counted within. AMD's carry the same name. */
const PACKAGE = /^intel-rapl:\d+$/;
/** USER_HZ of every Linux that Node runs on. */
const TICK_US = 10_000;

interface Zone {
  readonly path: string;
  /** The counter begins anew after this. */
  readonly rangeUj: number;
  lastUj: number;
}

/**
 * Energy that this process used, in joules: that of the host's processor packages, by the share of this process in
 * the time that the host's processors were busy. What idling draws falls on whoever computes. Memory, disks, GPUs and
 * the power supply's losses are not in it.
 */
export class EnergyMeter {
  readonly #zones: readonly Zone[];
  readonly #statPath: string;
  #busyUs: number;
  #processUs: number;

  private constructor(zones: readonly Zone[], statPath: string) {
    this.#zones = zones;
    this.#statPath = statPath;
    this.#busyUs = busyUs(statPath);
    this.#processUs = processUs();
  }

  /** Null where there are no counters, or this user may not read them (since Linux 5.10 only root may). */
  static open(powercap = POWERCAP, statPath = PROC_STAT): EnergyMeter | null {
    try {
      const zones = readdirSync(powercap)
        .filter((name) => PACKAGE.test(name))
        .map((name) => openZone(join(powercap, name)));
      return zones.length === 0 ? null : new EnergyMeter(zones, statPath);
    } catch {
      // A virtual machine, another system, or no permission: the figure is then absent, as documented.
      return null;
    }
  }

  /** Joules since the last reading; null when a counter can't be read any more. */
  read(): number | null {
    try {
      const hostJ = this.#zones.reduce((sum, zone) => sum + usedUj(zone), 0) / 1e6;
      const [busy, own] = [busyUs(this.#statPath), processUs()];
      const hostBusyUs = busy - this.#busyUs;
      const ownUs = own - this.#processUs;
      this.#busyUs = busy;
      this.#processUs = own;
      // Ticks are coarser than the process's own clock.
      return hostJ * (hostBusyUs > 0 ? Math.min(1, ownUs / hostBusyUs) : 0);
    } catch {
      return null;
    }
  }
}

function openZone(path: string): Zone {
  const rangeUj = numberIn(join(path, 'max_energy_range_uj'));
  return { path, rangeUj, lastUj: numberIn(join(path, 'energy_uj')) };
}

function usedUj(zone: Zone): number {
  const now = numberIn(join(zone.path, 'energy_uj'));
  const used = now - zone.lastUj;
  zone.lastUj = now;
  return used >= 0 ? used : used + zone.rangeUj;
}

function numberIn(path: string): number {
  const value = Number(readFileSync(path, 'utf8'));
  if (!Number.isFinite(value)) throw new Error(`${path} is no number`);
  return value;
}

/** Time that all processors together were neither idle nor waiting for a disk. */
function busyUs(statPath: string): number {
  const [first] = readFileSync(statPath, 'utf8').split('\n', 1);
  // cpu user nice system idle iowait irq softirq; guest time is within user, and what was stolen is another machine's.
  const [user, nice, system, , , irq, softirq] = first.trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * TICK_US;
}

function processUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
