import type { Datatype } from '../../../../protocol/tensor.ts';
import type { Constant } from './graph.ts';
import type { Slot } from './step.ts';

/** Numbers of one row; `dims` is the shape behind the row dimension. */
export interface NumbersValue {
  readonly kind: 'numbers';
  readonly datatype: Datatype;
  readonly slot: Slot;
  readonly dims: readonly number[];
}

/** A class of one row: its register holds the place in `labels`. The tensor has the row dimension alone. */
export interface LabelValue {
  readonly kind: 'label';
  readonly at: number;
  readonly labels: readonly bigint[] | readonly string[];
}

export interface ConstantValue {
  readonly kind: 'constant';
  readonly constant: Constant;
}

export type Value = NumbersValue | LabelValue | ConstantValue;
