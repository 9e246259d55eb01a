import type { Combine } from '../../../protocol/pipeline/document.ts';
import { AVERAGED, LABELS } from '../../../protocol/pipeline/values.ts';
import { showShape } from '../../../protocol/tensor.ts';
import type { Tensor, TensorData } from '../model/runtime.ts';
import { OipError } from '../serve/oip-error.ts';
import { emptyData } from './rows.ts';

export interface Opinion {
  readonly member: string;
  /** Only its proportion to the others' counts. */
  readonly weight: number;
  readonly tensor: Tensor;
}

/**
 * One tensor of those that the members answered, in the members' order. Means are summed in double precision and
 * divided by the weights of those who answered. A vote goes to the label that most members give; of equally many, to
 * the one whose first voter is named first. Throws `OipError` 'model_failed' when they can't be combined.
 */
export function combine(how: Combine, name: string, opinions: readonly Opinion[]): Tensor {
  checkAlike(how, name, opinions);
  const { datatype, shape, data } = opinions[0].tensor;
  const into = emptyData(datatype, data, data.length);
  const all = opinions.map(({ tensor }) => tensor.data);
  if (how === 'vote') vote(all, into);
  else {
    const weights = opinions.map(({ weight }) => (how === 'mean' ? 1 : weight));
    average(all as Float64Array[], weights, into as Float64Array);
  }
  return { datatype, shape, data: into };
}

function checkAlike(how: Combine, name: string, opinions: readonly Opinion[]): void {
  const [first] = opinions;
  const { datatype, shape } = first.tensor;
  if (!(how === 'vote' ? LABELS : AVERAGED).has(datatype)) {
    const allowed = how === 'vote' ? 'integers, BOOL or BYTES' : 'FP32 or FP64';
    throw failed(`the ${how} of "${name}" needs ${allowed}; "${first.member}" gave ${datatype}`);
  }
  const shown = `${datatype}${showShape(shape)}`;
  for (const { member, tensor } of opinions) {
    const other = `${tensor.datatype}${showShape(tensor.shape)}`;
    if (other === shown) continue;
    throw failed(
      `members differ in "${name}": "${first.member}" gave ${shown}, "${member}" ${other}`,
    );
  }
}

function average(
  all: readonly Float64Array[],
  weights: readonly number[],
  into: Float64Array,
): void {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < into.length; i += 1) {
    let sum = 0;
    for (let member = 0; member < all.length; member += 1) sum += weights[member] * all[member][i];
    into[i] = sum / total;
  }
}

function vote(all: readonly TensorData[], into: TensorData): void {
  const target = into as (string | number | bigint)[];
  for (let i = 0; i < into.length; i += 1) {
    let most = 0;
    for (const candidate of all) {
      let votes = 0;
      for (const other of all) if (other[i] === candidate[i]) votes += 1;
      // Only more votes displace: of equally many the first voter's label stays.
      if (votes <= most) continue;
      most = votes;
      target[i] = candidate[i];
    }
  }
}

function failed(message: string): OipError {
  return new OipError('model_failed', message);
}
