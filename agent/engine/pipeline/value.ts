import type { Tensor } from '../model/runtime.ts';

/** A tensor on its way through a pipeline. */
export interface Value {
  readonly tensor: Tensor;
  /** Its first dimension counts rows: its specification leaves it free. */
  readonly byRow: boolean;
}

/** What there is at one point of a pipeline. */
export type Scope = ReadonlyMap<string, Value>;

export function valueIn(scope: Scope, name: string): Value {
  const value = scope.get(name);
  // The plan has been checked: every tensor that is read was written.
  if (value === undefined) throw new Error(`the pipeline has no "${name}" here`);
  return value;
}
