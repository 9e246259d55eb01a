import type { AgentFigures } from './exposition.ts';

/** Of this process: memory now, and CPU since it began. */
export function ownFigures(): AgentFigures['supervisor'] {
  const { user, system } = process.cpuUsage();
  return {
    rssBytes: process.memoryUsage.rss(),
    cpuUserSeconds: user / 1e6,
    cpuSystemSeconds: system / 1e6,
  };
}
