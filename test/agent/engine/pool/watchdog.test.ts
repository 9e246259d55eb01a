import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deathOf } from '../../../../agent/engine/pool/engine-death.ts';
import { prepareIn } from '../../../../agent/engine/pool/prepare.ts';
import {
  type Hang,
  type Pulse,
  showHang,
  Watchdog,
} from '../../../../agent/engine/pool/watchdog.ts';
import { AgentError } from '../../../../agent/error.ts';

const BOUNDS = { hangMs: 10_000, openingMs: 60_000, maxStepMs: 2_000 };
const SLOW = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'b'.repeat(64)}`;
const TO_OPEN = {
  files: { manifest: OTHER, manifestPath: '', modelPath: '', profilePath: null, goldenPath: null },
  execution: {},
};
const IDLE = { ordinal: 0, heard: 1, opening: false, longestCall: null };

/** Looks once a second at what `pulse` says of the second, and gives the first at which it hangs. */
function firstHang(seconds: number, pulse: (second: number) => Pulse, bounds = BOUNDS) {
  const watchdog = new Watchdog(bounds);
  for (let second = 0; second <= seconds; second += 1) {
    const hang = watchdog.look(second * 1000, [pulse(second)]).get(0);
    if (hang !== undefined) return { second, hang };
  }
  return null;
}

describe('an engine that does not answer', () => {
  it('hangs once the bound is reached, not a second before', () => {
    const hang = { kind: 'silent', forMs: 10_000, opening: false };
    expect(firstHang(60, () => IDLE)).toEqual({ second: 10, hang });
  });

  it('is given the time of an opening while it opens a version', () => {
    const opening = { ...IDLE, opening: true };
    expect(firstHang(59, () => opening)).toBeNull();
    expect(firstHang(100, () => opening)?.second).toBe(60);
    // Where hangs are given more time than openings, openings are too.
    expect(firstHang(100, () => opening, { ...BOUNDS, openingMs: 1_000 })?.second).toBe(10);
  });

  it('hangs in the opening though nobody waits for that any more', () => {
    const pulse = (second: number) => ({ ...IDLE, opening: second < 30 });
    expect(firstHang(100, pulse)).toMatchObject({ second: 60, hang: { opening: true } });
  });

  it('is given no more time for an opening that it was told of when it was silent already', () => {
    const pulse = (second: number) => ({ ...IDLE, opening: second > 3 });
    expect(firstHang(100, pulse)).toMatchObject({ second: 10, hang: { opening: false } });
    const late = (second: number) => ({ ...pulse(second), heard: second < 6 ? 1 : 2 });
    expect(firstHang(100, late)).toMatchObject({ second: 66, hang: { opening: true } });
  });

  it('is forgiven what it has been silent once it says a word', () => {
    const pulse = (second: number) => ({ ...IDLE, heard: second < 9 ? 1 : 2 });
    expect(firstHang(60, pulse)?.second).toBe(19);
  });

  it('does not stand for one that took its place', () => {
    const watchdog = new Watchdog(BOUNDS);
    for (let second = 0; second < 10; second += 1) watchdog.look(second * 1000, [IDLE]);
    expect(watchdog.look(10_000, [{ ...IDLE, ordinal: 1 }]).size).toBe(0);
  });
});

describe('a call on a worker thread', () => {
  it('is a hang of its version at the bound, though its engine answers', () => {
    const pulse = (second: number) => ({
      ...{ ...IDLE, heard: second + 1 },
      longestCall: second < 5 ? null : { manifest: SLOW, ms: (second - 5) * 1000 + 300 },
    });
    const found = firstHang(60, pulse);
    expect(found).toMatchObject({ hang: { kind: 'call', manifest: SLOW } });
    expect(found?.second).toBeGreaterThanOrEqual(15);
    expect(found?.second).toBeLessThanOrEqual(17);
  });

  it('of five seconds each, one after another for ever, is none', () => {
    const pulse = (second: number) => ({
      ...{ ...IDLE, heard: second + 1 },
      longestCall: { manifest: second % 10 < 5 ? SLOW : OTHER, ms: (second % 5) * 1000 },
    });
    expect(firstHang(600, pulse)).toBeNull();
  });
});

describe('a watcher that stood still', () => {
  it('counts an hour in which nobody looked as one step', () => {
    const watchdog = new Watchdog(BOUNDS);
    watchdog.look(0, [IDLE]);
    const longestCall = { manifest: SLOW, ms: 3_600_000 };
    expect(watchdog.look(3_600_000, [{ ...IDLE, longestCall }]).size).toBe(0);
  });

  it('never calls an engine hung that was heard within fewer looks than the bound takes', () => {
    const gaps = fc.array(fc.record({ afterMs: fc.nat({ max: 1e7 }), said: fc.boolean() }));
    fc.assert(
      fc.property(gaps, (looks) => {
        const watchdog = new Watchdog(BOUNDS);
        let [nowMs, heard, quiet] = [0, 0, 0];
        for (const { afterMs, said } of looks) {
          nowMs += afterMs;
          if (said) [heard, quiet] = [heard + 1, 0];
          else quiet += 1;
          const hung = watchdog.look(nowMs, [{ ...IDLE, heard }]).size > 0;
          if (hung) expect(quiet).toBeGreaterThanOrEqual(BOUNDS.hangMs / BOUNDS.maxStepMs);
        }
      }),
      { seed: 20261127 },
    );
  });
});

describe('the death of an engine that hung', () => {
  const trace = { computedLast: SLOW, lastConnection: 3 };
  const engine = { ordinal: 4, pid: 7, abandoned: false, loading: new Set<string>(), trace };
  const killed = { code: null, signal: 'SIGKILL' };

  it('in its own thread is put down to the journal, not to what workers computed meanwhile', () => {
    const hang = { kind: 'silent', forMs: 61_200, opening: false } as const;
    const death = deathOf({ ...engine, hang, computing: [OTHER] }, killed, 1);
    expect(death).toMatchObject({ computing: [], computedLast: SLOW, pid: 7, ordinal: 4 });
    expect(death.cause).toBe('hung (no answer for 61 s)');
  });

  it('on a worker thread is put down to that call alone', () => {
    const hang = { kind: 'call', forMs: 60_400, manifest: OTHER } as const;
    const death = deathOf({ ...engine, hang, computing: [SLOW, OTHER] }, killed, 1);
    expect(death).toMatchObject({ computing: [OTHER], computedLast: null });
    expect(showHang(hang)).toBe('hung (a call on a worker thread took 60 s)');
  });

  it('is put down to a version that it opened only if that is where it hung', async () => {
    const loading = new Set([OTHER]);
    const loadingOf = (hang: Hang | null) =>
      deathOf({ ...engine, hang, loading, computing: [] }, killed, 1).loading;
    const silent = { kind: 'silent', forMs: 61_200, opening: false } as const;
    const call = { kind: 'call', forMs: 60_400, manifest: SLOW } as const;
    expect([silent, call].map(loadingOf)).toEqual([[], []]);
    expect([null, { ...silent, opening: true }].map(loadingOf)).toEqual([[OTHER], [OTHER]]);
    const prepare = (hang: Hang | null) => {
      const ask = () => Promise.reject(new AgentError('engine', 'it died'));
      return prepareIn({ ask, hang, loading: new Set(), opening: 0 }, [TO_OPEN], new Set());
    };
    expect(await prepare(silent)).toEqual([]);
    const refused = [{ manifest: OTHER, outcome: 'refused', code: 'engine-crashed' }];
    expect(await prepare({ ...silent, opening: true })).toMatchObject(refused);
    expect(await prepare(null)).toMatchObject(refused);
  });

  it('is told from a crash, and from an engine that the supervisor gave up', () => {
    const crashed = deathOf({ ...engine, hang: null, computing: [OTHER] }, killed, 1);
    expect(crashed).toMatchObject({ cause: 'SIGKILL', computing: [OTHER], computedLast: SLOW });
    const left = { ...engine, hang: null, abandoned: true, computing: [OTHER] };
    expect(deathOf(left, killed, 1)).toMatchObject({ cause: 'the supervisor', computing: [] });
  });
});
