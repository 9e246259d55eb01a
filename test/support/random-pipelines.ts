import type { GeneratorValue } from 'fast-check';
import fc from 'fast-check';

/**
 * Pipelines over rows of two numbers and a label. Every node writes one of each, under the names that its parent asks
 * for; every step is `f0`, `f1`, ... whose answer `stepRow` is, and `broken`, which fails.
 */
export interface RandomPipeline {
  readonly root: string;
  readonly nodes: Record<string, unknown>;
}

export interface Row {
  readonly numbers: readonly number[];
  readonly label: bigint;
}

/** What is random about a pipeline that some member may break, or some row fall through. */
export type Hazard = 'broken-steps' | 'missing-cases';

/** One row of step `f{which}`, of the numbers it is given. */
export function stepRow(which: number, inputs: readonly (readonly number[])[]): Row {
  const [a, b] = inputs.reduce(([x, y], [u, v]) => [x + u, y - v], [which, 1]);
  const numbers = [Math.sin(a) * 4, Math.cos(b + which) * 4];
  return { numbers, label: BigInt(Math.floor(Math.abs(a + b)) % 3) };
}

const OPERATORS = ['<', '<=', '>', '>=', '==', '!='] as const;

export function randomPipeline(g: GeneratorValue, hazard: Hazard, depth: number): RandomPipeline {
  const nodes: Record<string, unknown> = {};
  let names = 0;
  const pick = <T>(...values: T[]): T => values[g(fc.nat, values.length - 1)];
  const fresh = (kind: string) => {
    names += 1;
    return `${kind}${names}`;
  };
  const step = (scope: readonly string[], target: Target) => {
    const broken = hazard === 'broken-steps' && g(fc.nat, 7) === 0;
    const deployment = broken ? 'broken' : `f${g(fc.nat, 3)}`;
    const inputs = { a: pick(...scope), b: pick(...scope) };
    return { kind: 'step', deployment, inputs, outputs: { n: target.n, l: target.l } };
  };
  const sequence = (scope: readonly string[], target: Target, left: number) => {
    const between = { n: fresh('n'), l: fresh('l') };
    const first = build(scope, between, left - 1);
    return { kind: 'sequence', nodes: [first, build([...scope, between.n], target, left - 1)] };
  };
  const choice = (scope: readonly string[], target: Target, left: number) => {
    const cases = [1, 2].map(() => {
      const node = build(scope, target, left - 1);
      if (g(fc.boolean))
        return { op: pick(...OPERATORS), value: g(fc.integer, { min: -2, max: 2 }), node };
      return { op: 'in', values: [0, 1, 2], node };
    });
    const on =
      g(fc.nat, 4) === 0 ? { parameter: 'way' } : { tensor: pick(...scope), index: g(fc.nat, 1) };
    const through = hazard === 'missing-cases' && g(fc.nat, 3) === 0;
    const otherwise = through ? {} : { default: build(scope, target, left - 1) };
    return { kind: 'switch', on, cases, ...otherwise };
  };
  const ensemble = (scope: readonly string[], target: Target, left: number) => {
    const members = [1, 2, 3].map(() => ({
      node: build(scope, target, left - 1),
      weight: g(fc.integer, { min: 1, max: 5 }),
    }));
    const skip = { policy: 'skip', quorum: g(fc.integer, { min: 1, max: 3 }) };
    const failure = g(fc.boolean) ? { failure: skip } : {};
    const combine = { [target.n]: pick('mean', 'weighted'), [target.l]: 'vote' };
    return { kind: 'ensemble', members, combine, ...failure };
  };
  const build = (scope: readonly string[], target: Target, left: number): string => {
    const name = fresh('node');
    const kinds = left > 0 ? [sequence, choice, ensemble] : [step];
    // Nodes run out: what is left of the tree is steps.
    nodes[name] = (names > 24 ? step : pick(...kinds, step))(scope, target, left);
    return name;
  };
  return { root: build(['x'], { n: 'n', l: 'l' }, depth), nodes };
}

interface Target {
  readonly n: string;
  readonly l: string;
}
