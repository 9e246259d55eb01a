import type { SwitchNode } from '../../../protocol/pipeline/document.ts';
import { holds, kindOf, scalarsOf } from '../../../protocol/pipeline/values.ts';
import { showShape } from '../../../protocol/tensor.ts';
import type { Tensor } from '../model/runtime.ts';
import { showValue } from '../model/tensor-data.ts';
import { OipError } from '../serve/oip-error.ts';
import { parameterOf, type RequestParameters } from '../serve/request-parameters.ts';
import type { Value } from './value.ts';

/** The rows that go to one branch, ascending; null: everything goes there, whatever its rows. */
export interface Way {
  readonly node: string;
  readonly rows: readonly number[] | null;
}

/** By a parameter of the request: one way for all of it. Throws `OipError` 'bad_request' where no case holds. */
export function chooseByParameter(
  node: SwitchNode,
  parameter: string,
  parameters: RequestParameters | null,
): Way {
  const value = parameterOf(parameters, parameter);
  if (value === null) {
    if (node.default !== undefined) return { node: node.default, rows: null };
    throw bad(`this pipeline needs the parameter "${parameter}", and the request has none`);
  }
  const wanted = typeof scalarsOf(node.cases[0])[0];
  const given = typeof value === 'bigint' ? 'number' : typeof value;
  if (given !== wanted || !isScalar(value)) {
    throw bad(`parameter "${parameter}" is ${showValue(value)}; this pipeline needs a ${wanted}`);
  }
  const branch = node.cases.find((each) => holds(each, value))?.node ?? node.default;
  if (branch === undefined) {
    throw bad(`parameter "${parameter}" is ${showValue(value)}, for which there is no case`);
  }
  return { node: branch, rows: null };
}

/**
 * By a column of a tensor, each row its own way; branches in the order of their cases, those without rows left out.
 * Throws `OipError` 'bad_request' where no case holds, 'model_failed' for a tensor that can't be compared.
 */
export function chooseByTensor(
  node: SwitchNode,
  on: { tensor: string; index: number },
  value: Value,
): readonly Way[] {
  const { tensor, byRow } = value;
  const rows = byRow ? tensor.shape[0] : 1;
  // Nothing to decide by; but the answer's datatypes are a branch's to say.
  if (rows === 0) return [{ node: node.default ?? node.cases[0].node, rows: null }];
  const read = readerOf(node, on, tensor, rows);
  const single = tensor.datatype === 'FP32';
  const ways = new Map<string, number[]>();
  for (const each of node.cases) ways.set(each.node, []);
  if (node.default !== undefined) ways.set(node.default, []);
  for (let row = 0; row < rows; row += 1) {
    const found = node.cases.find((each) => holds(each, read(row), single))?.node ?? node.default;
    if (found === undefined) {
      throw bad(
        `"${on.tensor}"[${row}, ${on.index}] is ${showValue(read(row))}, for which this pipeline has no case`,
      );
    }
    ways.get(found)?.push(row);
  }
  const taken = [...ways].filter(([, chosen]) => chosen.length > 0);
  if (taken.length === 1) return [{ node: taken[0][0], rows: null }];
  return taken.map(([branch, chosen]) => ({ node: branch, rows: chosen }));
}

type Scalar = number | string | boolean | bigint;

/** The compared element of a row. */
function readerOf(
  node: SwitchNode,
  { tensor: name, index }: { tensor: string; index: number },
  { datatype, shape, data }: Tensor,
  rows: number,
): (row: number) => Scalar {
  const wanted = typeof scalarsOf(node.cases[0])[0];
  if (kindOf(datatype) !== wanted) {
    throw new OipError(
      'model_failed',
      `the pipeline compares "${name}" with a ${wanted}, and it is ${datatype}`,
    );
  }
  const width = data.length / rows;
  if (index >= width) {
    throw new OipError(
      'model_failed',
      `the pipeline looks at index ${index} of "${name}" ${showShape(shape)}, which has ${width} values in a row`,
    );
  }
  return (row) => {
    const value = data[row * width + index];
    return wanted === 'boolean' ? value === 1 : value;
  };
}

function isScalar(value: unknown): value is Scalar {
  return ['number', 'string', 'boolean', 'bigint'].includes(typeof value);
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
