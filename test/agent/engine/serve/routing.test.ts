import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { originForm, parseInferPath } from '../../../../agent/engine/serve/http-server.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import {
  armFor,
  deploymentOf,
  type ServedArm,
  type ServedDeployment,
} from '../../../../agent/engine/serve/routing.ts';

/** Routing looks at no slot and no recorder, so the arms here have none. */
const arm = (name: ServedArm['arm'], version: number, share: number) =>
  ({ arm: name, version, share }) as ServedArm;
const deployment = (...arms: ServedArm[]): ServedDeployment => ({
  name: 'loans',
  windowMs: 1000,
  window: { startMs: 0, decisionPrefix: '' },
  timeoutUs: null,
  arms,
  unloaded: [],
  standby: null,
  withoutLastGood: 'serve',
  closed: null,
});
const canary = deployment(arm('stable', 1, 0.75), arm('candidate', 2, 0.25));

function refusal(route: () => unknown): string {
  try {
    route();
    return 'routed';
  } catch (error) {
    if (error instanceof OipError) return `${error.status} ${error.message}`;
    throw error;
  }
}

describe('the arm that answers', () => {
  it.each([
    [0, 1],
    [0.7499, 1],
    [0.75, 2],
    [0.9999999999999999, 2],
  ])('for a draw of %d is version %i', (draw, version) => {
    expect(armFor(canary, null, draw).version).toBe(version);
  });

  it('is never one without traffic, unless it is pinned', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (draw) => {
        const parked = deployment(arm('stable', 1, 0), arm('candidate', 2, 1));
        expect(armFor(parked, null, draw).version).toBe(2);
        const taken = deployment(arm('stable', 1, 1), arm('candidate', 2, 0));
        expect(armFor(taken, null, draw).version).toBe(1);
        expect(armFor(taken, '2', draw).version).toBe(2);
      }),
    );
  });

  it('gets its share of uniform draws', () => {
    const draws = Array.from({ length: 1000 }, (_, at) => at / 1000);
    const candidates = draws.filter((draw) => armFor(canary, null, draw).arm === 'candidate');
    expect(candidates).toHaveLength(250);
  });

  it('is found although shares add up to a little less than 1', () => {
    const rounded = deployment(arm('stable', 1, 0.7), arm('candidate', 2, 0.29999999999999993));
    expect(armFor(rounded, null, 1 - Number.EPSILON / 2).version).toBe(2);
  });

  it.each(['3', '01', '1.0', '', 'latest'])('is not found for version %j', (version) => {
    expect(refusal(() => armFor(canary, version, 0))).toBe(
      `404 model "loans" has no version "${version}" on this agent; it has 1, 2`,
    );
  });

  it('is none when no arm has traffic', () => {
    expect(refusal(() => armFor(deployment(arm('stable', 1, 0)), null, 0))).toContain('503');
  });
});

describe('an unknown deployment', () => {
  it('is refused with what is served', () => {
    const state = { generation: 1, deployments: new Map([['loans', canary]]) };
    expect(deploymentOf(state, 'loans')).toBe(canary);
    expect(refusal(() => deploymentOf(state, 'cards'))).toBe(
      '404 unknown model "cards"; this agent serves: loans',
    );
    const empty = { generation: 0, deployments: new Map() };
    expect(refusal(() => deploymentOf(empty, 'x'.repeat(1000)))).toMatch(/"x{128}".*serves: none/);
  });
});

describe('a request target', () => {
  it.each([
    ['/v2/models/loans/infer', '/v2/models/loans/infer'],
    ['//v2/http://x/', '//v2/http://x/'],
    ['http://host/v2/models/loans/infer', '/v2/models/loans/infer'],
    ['HTTPS://user@host:8443/v2?a=b', '/v2?a=b'],
    ['http://[::1]:80/v2', '/v2'],
    ['http://host', '/'],
    ['http://host?a=/b', '/?a=/b'],
    ['*', '*'],
    ['ftp://host/v2', 'ftp://host/v2'],
    ['', ''],
  ])('%s has the path %s', (target, path) => {
    expect(originForm(target)).toBe(path);
  });
});

describe('the path of an inference', () => {
  it.each<[string, ReturnType<typeof parseInferPath>]>([
    ['/v2/models/loans/infer', { model: 'loans', version: null }],
    ['/v2/models/loans/infer?a=b/infer', { model: 'loans', version: null }],
    ['/v2/models/loans/versions/3/infer', { model: 'loans', version: '3' }],
    ['/v2/models/a%20b/infer', { model: 'a b', version: null }],
    ['/v2/models/versions/infer', { model: 'versions', version: null }],
    ['/v2/models/infer', null],
    ['/v2/models//infer', null],
    ['/v2/models/a/b/infer', null],
    ['/v2/models/a/versions//infer', null],
    ['/v2/models/a/versions/1/2/infer', null],
    ['/v2/models/%zz/infer', null],
    ['/v2/models/loans', null],
    ['/v1/models/loans/infer', null],
    ['/', null],
  ])('%s names %j', (url, expected) => {
    expect(parseInferPath(url)).toEqual(expected);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.webPath(), fc.string(), (path, text) => {
        parseInferPath(`/v2/models${path}/infer`);
        parseInferPath(`/v2/models/${text}/infer`);
      }),
    );
  });
});
