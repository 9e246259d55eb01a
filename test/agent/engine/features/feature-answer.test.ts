import { describe, expect, it } from 'vitest';
import { readFeatureAnswer } from '../../../../agent/engine/features/feature-answer.ts';

const NOW_MS = Date.parse('2026-11-24T04:00:00Z');

/** As the feature server of Feast 0.67.0 wrote it (keys shortened): see agent/FEATURES.md. */
const FEAST = `{"results":[
  {"values":[1001,1003],"statuses":["PRESENT","PRESENT"],"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]},
  {"values":[9007199254740993,7],"statuses":["PRESENT","PRESENT"],"event_timestamps":["2026-11-24T03:56:03Z","2026-11-21T04:06:03Z"]},
  {"values":[0.10000000149011612,null],"statuses":["PRESENT","PRESENT"],"event_timestamps":["2026-11-24T03:56:03Z","2026-11-21T04:06:03Z"]},
  {"values":[4.5,-0.0],"statuses":["PRESENT","NOT_FOUND"],"event_timestamps":["2026-11-24T03:56:03Z","1970-01-01T00:00:00Z"]}],
 "metadata":{"feature_names":["driver_id","driver_stats__trips","driver_stats__conv_rate","shop_profile__rating"]}}`;

const asked = (features: readonly string[], maxAgeMs: number | null = null) => ({
  features,
  rows: 2,
  maxAgeMs,
});
const read = (text: string, features: readonly string[], maxAgeMs: number | null = null) =>
  readFeatureAnswer(Buffer.from(text), asked(features, maxAgeMs), NOW_MS);

describe('the answer of a feature server', () => {
  it('is read by name, row by row, with integers exact and floats as they were', () => {
    const features = ['shop_profile:rating', 'driver_stats:trips', 'driver_stats:conv_rate'];
    expect(read(FEAST, features)).toEqual([
      [4.5, 9007199254740993n, 0.10000000149011612],
      [null, 7, null],
    ]);
  });

  it('has no values that are older than a lookup allows', () => {
    const day = 86_400_000;
    expect(read(FEAST, ['driver_stats:trips'], day)).toEqual([[9007199254740993n], [null]]);
    const ageless = FEAST.replaceAll(/,"event_timestamps":\[[^\]]*\]/g, '');
    expect(read(ageless, ['driver_stats:trips'], day)).toEqual([[null], [null]]);
    expect(read(ageless, ['driver_stats:trips'])).toEqual([[9007199254740993n], [7]]);
  });

  it.each(['NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE', 'INVALID'])(
    'has no value that is %s',
    (s) => {
      const text = `{"results":[{"values":[1,2],"statuses":["${s}","PRESENT"]}],"metadata":{"feature_names":["v__f"]}}`;
      expect(read(text, ['v:f'])).toEqual([[null], [2]]);
    },
  );

  it('leaves digits in strings, fractions and exponents alone', () => {
    const text = `{"results":[{"values":["x1234567890123456789\\"","1234567890123456789"],"statuses":["PRESENT","PRESENT"]},
      {"values":[1.2345678901234568e-300,-12345678901234567890],"statuses":["PRESENT","PRESENT"]}],
      "metadata":{"feature_names":["v__s","v__n"]}}`;
    expect(read(text, ['v:s', 'v:n'])).toEqual([
      ['x1234567890123456789"', 1.2345678901234568e-300],
      ['1234567890123456789', -12345678901234567890n],
    ]);
  });

  it.each([
    ['', /not JSON/],
    ['"a string"', /expected object/],
    ['{"results":[],"metadata":{"feature_names":["v__f"]}}', /1 names for 0 results/],
    [
      '{"results":[{"values":[1],"statuses":["PRESENT"]}],"metadata":{"feature_names":["v__f"]}}',
      /1 values .* for 2 rows/,
    ],
    [
      '{"results":[{"values":[1,2],"statuses":["PRESENT"]}],"metadata":{"feature_names":["v__f"]}}',
      /1 statuses for 2 rows/,
    ],
    [
      '{"results":[{"values":[[1],2],"statuses":["PRESENT","PRESENT"]}],"metadata":{"feature_names":["v__f"]}}',
      /no scalar/,
    ],
    [
      '{"results":[{"values":[1,2],"statuses":["PRESENT","GONE"]}],"metadata":{"feature_names":["v__f"]}}',
      /statuses/,
    ],
    ['{"results":[],"metadata":{"feature_names":[]}}', /no "v__f"/],
  ])('is refused when it is %s', (text, message) => {
    expect(() => read(text, ['v:f'])).toThrow(message);
  });
});
