import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CliError } from '../../../control-plane/cli/error.ts';
import {
  parseDuration,
  parseInteger,
  parseLabels,
  parseMoment,
  parseShare,
  parseVersion,
  parseVersionNumber,
  showMs,
} from '../../../control-plane/cli/values.ts';

function refusal(run: () => unknown): CliError {
  try {
    run();
  } catch (error) {
    if (error instanceof CliError) return error;
  }
  throw new Error('it was not refused');
}

describe('command line values', () => {
  it('reads durations in each unit', () => {
    expect(
      ['500ms', '10s', '2.5s', '5m', '1h', '7d'].map((text) => parseDuration('--x', text)),
    ).toEqual([500, 10_000, 2500, 300_000, 3_600_000, 604_800_000]);
  });

  it.each(['', '10', 's', '-1s', '1w', '1e3s', ' 1s'])('refuses "%s" as a duration', (text) => {
    const error = refusal(() => parseDuration('--observe', text));
    expect(error.kind).toBe('usage');
    expect(error.message).toContain(`--observe is "${text}"`);
  });

  it('reads moments in UTC unless they say otherwise, and spans back from now', () => {
    const now = Date.UTC(2026, 2, 2, 12);
    const read = (text: string) => new Date(parseMoment('--from', text, now)).toISOString();
    expect(read('2026-03-01')).toBe('2026-03-01T00:00:00.000Z');
    expect(read('2026-03-01T06:30')).toBe('2026-03-01T06:30:00.000Z');
    expect(read('2026-03-01T06:30:00+02:00')).toBe('2026-03-01T04:30:00.000Z');
    expect(read('1d')).toBe('2026-03-01T12:00:00.000Z');
  });

  it.each(['', 'yesterday', '2026-13-01', '2026-03', '1969-01-01', '03/01/2026'])(
    'refuses "%s" as a moment',
    (text) => {
      expect(refusal(() => parseMoment('--from', text, 0)).message).toContain(
        `--from is "${text}"; it must be like 2026-03-01`,
      );
    },
  );

  it('reads what it prints as a version', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), (version) => {
        expect(parseVersion(`mortgage@${version}`)).toEqual({ model: 'mortgage', version });
        expect(parseVersionNumber('--to', String(version))).toBe(version);
        expect(parseVersionNumber('--to', `mortgage@${version}`)).toBe(version);
      }),
    );
  });

  it.each(['mortgage', 'mortgage@', 'mortgage@0', '@1', 'a@b@1', 'mortgage@1.5'])(
    'refuses "%s" as a version',
    (text) => {
      expect(refusal(() => parseVersion(text)).message).toContain('mortgage@3');
    },
  );

  it('holds integers and shares to their bounds', () => {
    expect(parseInteger('--port', '65535', 0, 65_535)).toBe(65_535);
    expect(refusal(() => parseInteger('--port', '65536', 0, 65_535)).message).toContain(
      '0 to 65535',
    );
    expect(parseShare('--share', '1')).toBe(1);
    expect(refusal(() => parseShare('--share', '0')).kind).toBe('usage');
    expect(refusal(() => parseShare('--share', '1.01')).kind).toBe('usage');
    expect(refusal(() => parseShare('--share', 'half')).kind).toBe('usage');
  });

  it('splits labels at the first equals sign', () => {
    expect(parseLabels('--to', ['site=a', 'x=1=2', 'empty='])).toEqual({
      site: 'a',
      x: '1=2',
      empty: '',
    });
    expect(refusal(() => parseLabels('--to', ['site'])).message).toContain('KEY=VALUE');
  });

  it('shows milliseconds in the unit people would use', () => {
    expect([12.4, 999, 1000, 61_000, 300_000].map(showMs)).toEqual([
      '12 ms',
      '999 ms',
      '1.0 s',
      '61.0 s',
      '5 min',
    ]);
  });
});
