import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../protocol/error.ts';
import {
  MAX_PIPELINE_BYTES,
  MAX_PIPELINE_DEPTH,
  MAX_PIPELINE_NODES,
} from '../../../protocol/limits.ts';
import { deploymentsOf, parsePipeline } from '../../../protocol/pipeline/plan.ts';
import { bytesOf, documentOf, FEATURES, planOf, SCORE, step } from './documents.ts';

function refusal(bytes: Uint8Array): string {
  try {
    parsePipeline(bytes);
    return 'accepted';
  } catch (error) {
    if (error instanceof ProtocolError && error.kind === 'pipeline') return error.message;
    throw error;
  }
}
const wrong = (nodes: object, fields: object = {}) =>
  refusal(bytesOf(documentOf(nodes as Record<string, unknown>, fields as Record<string, unknown>)));

const onColumn = (cases: unknown[], more: object = {}) => ({
  kind: 'switch',
  on: { tensor: 'x', index: 1 },
  cases,
  ...more,
});
const two = { a: step('a'), b: step('b') };
const members = [{ node: 'a' }, { node: 'b' }];
const ensemble = (fields: object) => ({
  kind: 'ensemble',
  members,
  combine: { y: 'mean' },
  ...fields,
});

/** Sequences inside each other, `levels` nodes deep. */
function nested(levels: number): Record<string, unknown> {
  const nodes: Record<string, unknown> = { end: step('a') };
  for (let level = levels - 1; level >= 1; level -= 1) {
    const name = level === 1 ? 'main' : `s${level}`;
    const next = level === levels - 1 ? 'end' : `s${level + 1}`;
    nodes[name] = { kind: 'sequence', nodes: [next] };
  }
  return nodes;
}

function chain(steps: number): Record<string, unknown> {
  const names = Array.from({ length: steps }, (_, at) => `n${at}`);
  const nodes = names.map((name, at) => {
    const out = at === steps - 1 ? 'y' : `t${at}`;
    return [name, step('a', { in: 'x' }, { out })];
  });
  return { main: { kind: 'sequence', nodes: names }, ...Object.fromEntries(nodes) };
}

describe('a pipeline document', () => {
  it('PIPELINE-1: tells what each node reads and leaves', () => {
    const plan = planOf({
      main: { kind: 'sequence', nodes: ['clean', 'all'] },
      clean: step('cleaner', { raw: 'x' }, { out: 'cleaned' }),
      all: ensemble({}),
      a: step('loans', { f: 'cleaned' }, ['y']),
      b: step('cleaner', { f: 'x', g: 'cleaned' }, ['y', 'z']),
    });
    expect(plan.reads.get('main')).toEqual(['x']);
    expect(plan.reads.get('all')).toEqual(['cleaned', 'x']);
    expect(plan.writes.get('all')).toEqual(['y']);
    expect(plan.writes.get('main')).toEqual(['cleaned', 'y']);
    expect(deploymentsOf(plan)).toEqual(['cleaner', 'loans']);
    expect(plan.byRow).toBe(false);
  });

  it('PIPELINE-2: a switch leaves what all of its branches write', () => {
    const plan = planOf({
      main: onColumn([{ op: '<', value: 1, node: 'a' }], { default: 'b' }),
      a: step('a', ['x'], ['y', 'z']),
      b: step('b', ['x'], ['w', 'y']),
    });
    expect(plan.writes.get('main')).toEqual(['y']);
    expect(plan.byRow).toBe(true);
  });

  it.each<[string, object, object, RegExp]>([
    ['a root that is not there', {}, {}, /the root names "main", which is not among/],
    [
      'a child that is not there',
      { main: { kind: 'sequence', nodes: ['q'] } },
      {},
      /"main" names "q"/,
    ],
    [
      'a cycle',
      { main: { kind: 'sequence', nodes: ['s'] }, s: { kind: 'sequence', nodes: ['main'] } },
      {},
      /cycle: main → s → main/,
    ],
    [
      'a node used twice',
      { main: { kind: 'sequence', nodes: ['a', 'a'] }, a: step('a') },
      {},
      /"a" is used twice/,
    ],
    ['a node nobody uses', { main: step('a'), b: step('b') }, {}, /nothing leads .* to b/],
    [
      'an output nobody writes',
      { main: step('a', ['x'], ['q']) },
      {},
      /no node writes the output "y"/,
    ],
    [
      'a tensor read before it is written',
      { main: step('a', ['q']) },
      {},
      /reads "q" before it is written; there is "x"/,
    ],
    [
      'a tensor written twice',
      { main: { kind: 'sequence', nodes: ['a', 'b'] }, ...two },
      {},
      /"b" writes "y", which is there/,
    ],
    [
      'an input written over',
      { main: step('a', ['x'], { y: 'y', z: 'x' }) },
      {},
      /writes "x", which is there/,
    ],
    [
      'an input twice',
      { main: step('a') },
      { inputs: [FEATURES, FEATURES] },
      /two inputs named "x"/,
    ],
    ['a step that writes nothing', { main: step('a', ['x'], []) }, {}, /writes nothing/],
    [
      'an input given out as another type',
      { main: step('a', ['x'], ['z']) },
      {
        outputs: [
          { ...FEATURES, datatype: 'FP64' },
          { ...SCORE, name: 'z' },
        ],
      },
      /"x" is FP64, but what is written is FP32/,
    ],
    [
      'a mean of labels',
      { main: ensemble({}), ...two },
      { outputs: [{ ...SCORE, datatype: 'INT64' }] },
      /"y" is INT64, but .* a mean/,
    ],
    [
      'a vote of numbers',
      { main: ensemble({ combine: { y: 'vote' } }), ...two },
      {},
      /"y" is FP32, but .* a vote/,
    ],
    [
      'weights that are not given',
      { main: ensemble({ combine: { y: 'weighted' } }), ...two },
      {},
      /member "a" has no weight/,
    ],
    [
      'a quorum of more than there are',
      { main: ensemble({ failure: { policy: 'skip', quorum: 3 } }), ...two },
      {},
      /needs 3 answers of 2/,
    ],
    [
      'a tensor that a member lacks',
      { main: ensemble({}), a: step('a'), b: step('b', ['x'], ['z']) },
      {},
      /combines "y", which "b" does not write/,
    ],
    [
      'branches with nothing in common',
      {
        main: onColumn([{ op: '<', value: 1, node: 'a' }], { default: 'b' }),
        a: step('a'),
        b: step('b', ['x'], ['z']),
      },
      {},
      /no tensor that all of them write/,
    ],
    [
      'a number compared with a text',
      { main: onColumn([{ op: '==', value: 'a', node: 'a' }]), a: step('a') },
      {},
      /compares FP32 "x" with a string/,
    ],
    [
      'cases of two kinds',
      { main: onColumn([{ op: 'in', values: [1, 'a'], node: 'a' }]), a: step('a') },
      {},
      /mix number and string/,
    ],
    [
      'a column past the end',
      {
        main: { ...onColumn([{ op: '<', value: 1, node: 'a' }]), on: { tensor: 'x', index: 3 } },
        a: step('a'),
      },
      {},
      /index 3 of "x" \[-1,3\], which has 3/,
    ],
    [
      'a text that is ordered',
      { main: onColumn([{ op: '<', value: 'a', node: 'a' }]), a: step('a') },
      {},
      /is invalid/,
    ],
    ['a model input named twice', { main: step('a', ['x', 'x']) }, {}, /named twice/],
    ['a field that nobody reads', { main: { ...step('a'), retries: 3 } }, {}, /retries/],
    ['another schema', { main: step('a') }, { schema: 2 }, /schema/],
  ])('PIPELINE-3: is refused for %s', (_, nodes, fields, message) => {
    expect(wrong(nodes, fields)).toMatch(message);
  });

  it('PIPELINE-4: has its bounds of size, nodes and depth', () => {
    const whole = bytesOf(documentOf({ main: step('a') }));
    const padded = (length: number) => {
      const bytes = new Uint8Array(length).fill(32);
      bytes.set(whole);
      return bytes;
    };
    expect(refusal(padded(MAX_PIPELINE_BYTES))).toBe('accepted');
    expect(refusal(padded(MAX_PIPELINE_BYTES + 1))).toMatch(/1048577 bytes, at most 1048576/);
    expect(wrong(chain(MAX_PIPELINE_NODES - 1))).toBe('accepted');
    expect(wrong(chain(MAX_PIPELINE_NODES))).toMatch(/at most 32 nodes/);
    expect(wrong(nested(MAX_PIPELINE_DEPTH))).toBe('accepted');
    expect(wrong(nested(MAX_PIPELINE_DEPTH + 1))).toMatch(/deeper than 8 levels: main → s2/);
    expect(refusal(new TextEncoder().encode('{'))).toMatch(/1 bytes are not JSON/);
    expect(refusal(Uint8Array.of(0x22, 0xff, 0x22))).toMatch(/not JSON/);
  });
});
