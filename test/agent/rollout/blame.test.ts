import { describe, expect, it } from 'vitest';
import type { EngineDeath } from '../../../agent/engine/pool/engine-death.ts';
import {
  BLAME_WINDOW_MS,
  BlameLedger,
  MAX_DEATHS,
  suspectOf,
  worthRefusing,
} from '../../../agent/rollout/blame.ts';
import { plan } from './plans.ts';

const running = plan(['loans', ['stable', 1, 0.5], ['candidate', 2, 0.5]]);
const [v1, v2] = running.deployments[0].arms.map(({ manifest }) => manifest);
const death = (atMs: number): EngineDeath => ({
  ...{ ordinal: 0, pid: 41, cause: 'SIGSEGV', atMs },
  ...{ loading: [], computing: [], computedLast: null },
});
const since = (one: number, two: number) =>
  new Map([
    [v1, one],
    [v2, two],
  ]);

describe('who is suspected of a death', () => {
  const suspect = (computing: string[], computedLast: string | null, at = since(0, 1)) =>
    suspectOf({ computing, computedLast }, running, at);

  it('is what worker threads computed, before what was computed inline', () => {
    expect(suspect([v2], v1)).toBe(v2);
    expect(suspect([], v1)).toBe(v1);
    expect(suspect([], null)).toBeNull();
  });

  it('is of several the one that came last; nobody where that says nothing', () => {
    expect(suspect([v1, v2], null)).toBe(v2);
    expect(suspect([v1, v2], null, since(5, 1))).toBe(v1);
    expect(suspect([v1, v2], null, since(1, 1))).toBeNull();
  });

  it('is nobody that is not served any more', () => {
    expect(suspect(['sha256:gone'], 'sha256:gone')).toBeNull();
    expect(suspect(['sha256:gone'], v1)).toBe(v1);
  });
});

describe('the ledger of deaths', () => {
  it('has evidence at the third death within ten minutes, and names them all', () => {
    const ledger = new BlameLedger();
    expect(ledger.record(v1, death(0))).toBeNull();
    expect(ledger.record(v2, death(1))).toBeNull();
    expect(ledger.record(v1, death(1000))).toBeNull();
    const evidence = ledger.record(v1, death(BLAME_WINDOW_MS - 1));
    expect(evidence).toContain(`${MAX_DEATHS} engines died in 10 minutes`);
    expect(evidence?.match(/SIGSEGV of pid 41 at 1970-01-01T00:/g)).toHaveLength(MAX_DEATHS);
  });

  it('forgets a death after ten minutes, and everything with a new desired state', () => {
    const ledger = new BlameLedger();
    for (const at of [0, 1]) ledger.record(v1, death(at));
    expect(ledger.record(v1, death(BLAME_WINDOW_MS))).toBeNull();
    ledger.clear();
    expect(ledger.record(v1, death(BLAME_WINDOW_MS + 1))).toBeNull();
  });
});

describe('a version is refused', () => {
  const alone = plan(['loans', ['stable', 1, 1]]);
  const arm = alone.deployments[0].arms[0];

  it('where something takes its place', () => {
    expect(worthRefusing(v2, running, new Map())).toBe(true);
    expect(worthRefusing(v1, alone, new Map([['loans', { ...arm, manifest: v2 }]]))).toBe(true);
  });

  it('where others are spared its crashes', () => {
    const shared = plan(['loans', ['stable', 1, 1]], ['cards', ['stable', 2, 1]]);
    expect(worthRefusing(v1, shared, new Map())).toBe(true);
  });

  it('but not where nothing would be left', () => {
    expect(worthRefusing(v1, alone, new Map())).toBe(false);
    expect(worthRefusing(v1, alone, new Map([['loans', arm]]))).toBe(false);
  });
});
