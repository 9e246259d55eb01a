import { readFileSync } from 'node:fs';

/** CPU time in ticks: of the whole machine, and of this process with all its children that have ended. */
export interface CpuTicks {
  readonly machine: number;
  readonly busy: number;
  readonly ours: number;
}

/** Null where there is no /proc. */
export function cpuTicks(): CpuTicks | null {
  try {
    const [line] = readFileSync('/proc/stat', 'utf8').split('\n');
    const [user, nice, system, idle, iowait, irq, softirq, steal] = line
      .split(/ +/)
      .slice(1)
      .map(Number);
    const busy = user + nice + system + irq + softirq + steal;
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ours = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
    return { machine: busy + idle + iowait, busy, ours };
  } catch {
    return null;
  }
}

/** What of the machine's CPU time others took meanwhile; call it when one's children have ended. */
export function shareOfOthers(before: CpuTicks, after: CpuTicks): number {
  const others = after.busy - before.busy - (after.ours - before.ours);
  return Math.max(0, others / (after.machine - before.machine));
}
