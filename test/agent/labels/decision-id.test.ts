import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WindowClock } from '../../../agent/engine/window-clock.ts';
import { parseDecisionId } from '../../../agent/labels/decision-id.ts';

describe('a decision id', () => {
  it('DECISION-1: names window, engine and row, as the engine’s clock wrote them', () => {
    const engines = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const tags = fc.stringMatching(/^[0-9a-f]{1,12}$/);
    fc.assert(
      fc.property(engines, engines, tags, (engine, row, tag) => {
        const clock = new WindowClock(engine, () => undefined);
        clock.agentTag = tag;
        const { decisionPrefix, startMs } = clock.open(3_600_000);
        const place = { windowStartMs: startMs, engine, row };
        expect(parseDecisionId(decisionPrefix + row.toString(36))).toEqual(place);
        clock.stop();
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['', 'nothing'],
    ['abc.1.2', 'no row'],
    ['abc.1.2.3.4', 'a part too many'],
    ['.1.2.3', 'no agent'],
    ['abcdefabcdef0.1.2.3', 'an agent of 13 digits'],
    ['agt.1.2.3', 'an agent that is not hex'],
    ['abc.1.2.A', 'upper case'],
    ['abc.1.-2.3', 'a sign'],
    ['abc.1.2.3\n', 'a line feed'],
    ['abc.1.2.zzzzzzzzzzz', 'a row past 2^53'],
    ['abc.1.2.0123456789ab', 'a row of 12 digits'],
  ])('DECISION-2: is not %j: %s', (text) => {
    expect(parseDecisionId(text)).toBeNull();
  });

  it('DECISION-2: is read from any text without an error', () => {
    fc.assert(fc.property(fc.string(), (text) => parseDecisionId(text) === null));
  });
});
