import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor, TensorData } from '../../../../agent/engine/model/runtime.ts';
import { renderInferResponse } from '../../../../agent/engine/serve/infer-response.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { ALL_AS_JSON } from '../../../../agent/engine/serve/output-selection.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';

const FROM = { deployment: 'loans', version: 3, decision: 'a.b.c', arm: 'stable', generation: 7 };

const tensor = (datatype: Datatype, data: TensorData): Tensor => ({
  datatype,
  shape: [data.length],
  data,
});
const outputs = (datatype: Datatype, data: TensorData) => new Map([['y', tensor(datatype, data)]]);

/** The text between the brackets of `data`, as a client receives it. */
function dataOf(datatype: Datatype, data: TensorData): string {
  const { json } = renderInferResponse(null, FROM, outputs(datatype, data), ALL_AS_JSON);
  JSON.parse(json);
  return json.slice(json.indexOf('"data":[') + '"data":['.length, json.lastIndexOf(']}]}'));
}

describe('an answer', () => {
  it('says what answered, for whom, and where to find the decision', () => {
    const named = new Map([['y', tensor('FP32', Float32Array.of(0.5))]]);
    const { json, tensors } = renderInferResponse('q"1', FROM, named, ALL_AS_JSON);
    expect(tensors).toBeNull();
    expect(JSON.parse(json)).toEqual({
      model_name: 'loans',
      model_version: '3',
      id: 'q"1',
      parameters: { decision_id: 'a.b.c', arm: 'stable', generation: 7 },
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1], data: [0.5] }],
    });
    const { json: bare } = renderInferResponse(null, FROM, named, ALL_AS_JSON);
    expect(JSON.parse(bare)).not.toHaveProperty('id');
  });

  it('holds the outputs that were asked for', () => {
    const two = new Map([
      ['label', tensor('INT32', Int32Array.of(1))],
      ['score', tensor('FP32', Float32Array.of(0.5))],
    ]);
    const selection = { named: new Map([['score', false]]), binary: false };
    const { json } = renderInferResponse(null, FROM, two, selection);
    expect(JSON.parse(json).outputs.map((output: { name: string }) => output.name)).toEqual([
      'score',
    ]);
  });

  it('keeps 64-bit integers exact', () => {
    expect(dataOf('INT64', BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 9007199254740993n))).toBe(
      '9223372036854775807,-9223372036854775808,9007199254740993',
    );
    expect(dataOf('UINT64', BigUint64Array.of(2n ** 64n - 1n))).toBe('18446744073709551615');
  });

  it('gives booleans and text as JSON has them', () => {
    expect(dataOf('BOOL', Uint8Array.of(1, 0))).toBe('true,false');
    expect(dataOf('BYTES', ['a"b', '\u2028'])).toBe('"a\\"b","\u2028"');
  });

  it('gives every finite float so that it reads back as the same', () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, minLength: 1 }), (data) => {
        const finite = data.filter(Number.isFinite);
        if (finite.length === 0) return;
        const read = Float32Array.from(JSON.parse(`[${dataOf('FP32', finite)}]`) as number[]);
        expect(read.every((value, at) => value === finite[at])).toBe(true);
      }),
    );
  });

  it.each([Number.NaN, Infinity, -Infinity])('never holds %d, and names where it was', (value) => {
    for (const [datatype, data] of [
      ['FP32', Float32Array.of(1, value)],
      ['FP64', Float64Array.of(1, value)],
    ] as const) {
      expect(() => dataOf(datatype, data)).toThrow(OipError);
      expect(() => dataOf(datatype, data)).toThrow(`output "y"[1] is ${value}`);
    }
  });

  it('has no JSON form for half precision', () => {
    expect(() => dataOf('FP16', Uint16Array.of(0x3c00))).toThrow('has no JSON form');
  });
});
