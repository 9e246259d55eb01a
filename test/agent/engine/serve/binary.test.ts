import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HeaderCache,
  headerCacheOf,
  MAX_CACHED_HEADER_BYTES,
  MAX_CACHED_HEADERS,
} from '../../../../agent/engine/serve/header-cache.ts';
import type { InferHeader } from '../../../../agent/engine/serve/infer-header.ts';
import { parseInferRequest } from '../../../../agent/engine/serve/infer-request.ts';
import { JsonScalars } from '../../../../agent/engine/serve/json-scalars.ts';
import { ALL_AS_JSON } from '../../../../agent/engine/serve/output-selection.ts';
import { DEFAULT_OPTIONS } from '../../../../agent/engine/serve/request-options.ts';
import { bytesOf, dataFromBytes } from '../../../../agent/engine/serve/tensor-bytes.ts';
import type { Manifest } from '../../../../protocol/manifest.ts';

function manifestOf(datatype: 'FP32' | 'INT64'): Manifest {
  const x = { name: 'x', datatype, shape: [-1] };
  const empty = {
    schema: 1,
    model: 'm',
    task: 'other',
    files: [],
    features: [],
    groups: [],
  } as const;
  return {
    ...empty,
    files: [],
    features: [],
    groups: [],
    inputs: [x],
    outputs: [x],
    prediction: null,
  };
}

function binaryBody(id: string, values: readonly number[], lead = 0) {
  const sizeBytes = values.length * 4;
  const parameters = { binary_data_size: sizeBytes };
  const inputs = [{ name: 'x', shape: [values.length], datatype: 'FP32', parameters }];
  const text = JSON.stringify({ id, inputs });
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const memory = Buffer.alloc(lead + json.length + sizeBytes).subarray(lead);
  json.copy(memory);
  Buffer.from(Float32Array.from(values).buffer).copy(memory, json.length);
  return { body: memory, headerLength: json.length };
}

describe('tensor bytes', () => {
  it('are looked at where they lie when aligned, and copied once when not', () => {
    const manifest = manifestOf('FP32');
    const values = Array.from({ length: 5000 }, (_, at) => at);
    for (let lead = 0; lead < 8; lead += 1) {
      const { body, headerLength } = binaryBody('i', values, lead);
      const data = parseInferRequest(body, headerLength, manifest).inputs.get('x')?.data;
      if (!(data instanceof Float32Array)) throw new Error('expected FP32');
      expect(Array.from(data)).toEqual(values);
      expect(data.buffer === body.buffer).toBe(lead % 4 === 0);
    }
  });

  it('of BYTES read back as they were written', () => {
    const text = fc.string({ unit: 'binary' }).filter((each) => !/[\0\p{Surrogate}]/u.test(each));
    fc.assert(
      fc.property(fc.array(text), (strings) => {
        const bytes = bytesOf({ datatype: 'BYTES', shape: [strings.length], data: strings });
        expect(dataFromBytes('BYTES', strings.length, bytes, 'x')).toEqual(strings);
      }),
    );
  });
});

describe('the cache of headers', () => {
  const header: InferHeader = {
    id: null,
    inputs: [],
    outputs: ALL_AS_JSON,
    options: DEFAULT_OPTIONS,
  };

  it('never holds more than two generations, and keeps what is asked for', () => {
    const cache = new HeaderCache();
    cache.set('kept', header);
    for (let at = 0; at < MAX_CACHED_HEADERS * 10; at += 1) {
      cache.set(`id ${at}`, header);
      expect(cache.get('kept')).toBe(header);
      expect(cache.size).toBeLessThanOrEqual(2 * MAX_CACHED_HEADERS);
    }
    expect(cache.get('id 0')).toBeUndefined();
  });

  it('gives each request its own values', () => {
    const manifest = manifestOf('FP32');
    for (const values of [
      [1, 2],
      [3, 4],
    ]) {
      const { body, headerLength } = binaryBody('same', values);
      const { id, inputs } = parseInferRequest(body, headerLength, manifest);
      expect([id, Array.from(inputs.get('x')?.data as Float32Array)]).toEqual(['same', values]);
    }
    expect(headerCacheOf(manifest).size).toBe(1);
  });

  it('remembers headers up to its bound, and none that carries values', () => {
    const manifest = manifestOf('FP32');
    const sized = (length: number) => {
      const { headerLength } = binaryBody('', [1]);
      const { body, headerLength: own } = binaryBody('i'.repeat(length - headerLength), [1]);
      expect(own).toBe(length);
      parseInferRequest(body, own, manifest);
      return headerCacheOf(manifest).size;
    };
    expect(sized(MAX_CACHED_HEADER_BYTES)).toBe(1);
    expect(sized(MAX_CACHED_HEADER_BYTES + 8)).toBe(1);
    const json = Buffer.from('{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}');
    parseInferRequest(json, json.length, manifest);
    expect(headerCacheOf(manifest).size).toBe(1);
  });
});

describe('64-bit integers in JSON', () => {
  it('keep every digit', () => {
    const manifest = manifestOf('INT64');
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
        const data = `[${values.join(' ,\n')}]`;
        const json = `{"inputs":[{"name":"x","shape":[${values.length}],"datatype":"INT64","data":${data}}]}`;
        const read = parseInferRequest(Buffer.from(json), null, manifest).inputs.get('x')?.data;
        expect(Array.from(read as BigInt64Array)).toEqual(values);
      }),
    );
  });

  it('are found in any JSON around them', () => {
    const scalar = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null));
    const beside = fc.dictionary(
      fc.string().filter((key) => key !== 'data'),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(beside, fc.array(scalar))),
        fc.jsonValue(),
        (inputs, before) => {
          const document = { before, inputs: inputs.map(([own, data]) => ({ ...own, data })) };
          const scalars = new JsonScalars(Buffer.from(JSON.stringify(document, null, 1)));
          for (const [at, [, data]] of inputs.entries()) {
            expect(
              scalars.ofInput(at).map((text) => JSON.parse(Buffer.from(text, 'latin1').toString())),
            ).toEqual(
              // -0 is written as 0.
              JSON.parse(JSON.stringify(data)),
            );
          }
        },
      ),
    );
  });
});
