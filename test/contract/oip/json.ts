import { describe, expect, it } from 'vitest';
import { infer, inferred, refused, send, type Target } from './client.ts';
import { identityName, SAMPLES } from './models.ts';

function vector(datatype: string, count: number, data: string, name = 'x'): string {
  return `{"inputs":[{"name":"${name}","shape":[${count}],"datatype":"${datatype}","data":${data}}]}`;
}

const TRIPLE = [
  { name: 'a', shape: [1], datatype: 'FP32', data: [1] },
  { name: 'b', shape: [1], datatype: 'INT64', data: [2] },
  { name: 'c', shape: [1], datatype: 'BYTES', data: ['3'] },
];

/** Requests and answers that are JSON only. */
export function describeJson(target: () => Target): void {
  describe('JSON', () => {
    it.each(SAMPLES.filter((sample) => sample.json !== null))(
      '$datatype comes back as it was sent: $json',
      async ({ datatype, count, json }) => {
        const answer = await infer(
          target(),
          identityName(datatype),
          vector(datatype, count, json ?? ''),
        );
        const { outputs, text } = inferred(answer);
        expect(outputs).toMatchObject([{ name: 'x_out', datatype, shape: [count] }]);
        // Text against text: a parser would round INT64 on both sides alike. The BOM is sent as an escape.
        const data = text.slice(text.indexOf('"data":') + 7, text.lastIndexOf(']}]'));
        // `-0` and `-0.0` are both minus zero; Python reads only the latter so.
        const shown = data.replace('\ufeff', '\\ufeff').replaceAll(/-0\.0(?![0-9])/g, '-0');
        expect(`${shown}]`).toBe(json);
      },
    );

    it('gives the id back, and none where none was sent', async () => {
      const body = { id: 'a "quoted" id\n', inputs: TRIPLE };
      expect(inferred(await infer(target(), 'triple', body)).id).toBe(body.id);
      expect(inferred(await infer(target(), 'triple', { inputs: TRIPLE }))).not.toHaveProperty(
        'id',
      );
    });

    it('gives all outputs, or those asked for', async () => {
      const names = async (outputs?: unknown) =>
        inferred(await infer(target(), 'triple', { inputs: TRIPLE, outputs }))
          .outputs.map((output) => output.name)
          .sort();
      expect(await names()).toEqual(['a_out', 'b_out', 'c_out']);
      expect(await names([])).toEqual(['a_out', 'b_out', 'c_out']);
      expect(await names([{ name: 'c_out' }, { name: 'a_out' }])).toEqual(['a_out', 'c_out']);
      refused(await infer(target(), 'triple', { inputs: TRIPLE, outputs: [{ name: 'd' }] }), 400);
    });

    it('takes inputs in any order, and flat or nested data', async () => {
      const reversed = { inputs: [...TRIPLE].reverse() };
      expect(inferred(await infer(target(), 'triple', reversed)).outputs).toHaveLength(3);
      for (const data of ['[1,2,3,4,5,6]', '[[1,2,3],[4,5,6]]']) {
        const body = `{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":${data}}]}`;
        const [output] = inferred(await infer(target(), 'matrix', body)).outputs;
        expect(output).toMatchObject({ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] });
      }
    });

    it('takes no elements, a scalar, and any size of a free dimension', async () => {
      const shapes: [string, number[]][] = [
        ['id_fp32', [0]],
        ['id_fp32', [1000]],
        ['matrix', [0, 3]],
        ['free', [4, 0]],
        ['free', [5, 7]],
        ['scalar', []],
      ];
      for (const [model, shape] of shapes) {
        const count = shape.reduce((product, size) => product * size, 1);
        const data = new Array<number>(count).fill(0.5);
        const body = { inputs: [{ name: 'x', shape, datatype: 'FP32', data }] };
        expect(inferred(await infer(target(), model, body)).outputs[0]).toMatchObject({
          shape,
          data,
        });
      }
    });

    it('ignores model_name and parameters it does not know', async () => {
      const body = { model_name: 'other', parameters: { sort: 'of' }, inputs: TRIPLE };
      inferred(await infer(target(), 'triple', body));
    });

    it.each([
      ['no JSON', '{"inputs":'],
      ['an empty body', ''],
      ['an array', '[]'],
      ['no inputs', '{}'],
      ['an input that is no object', '{"inputs":[1]}'],
      ['an id that is no string', '{"id":1,"inputs":[]}'],
      ['a missing input', '{"inputs":[]}'],
      ['an unknown input', vector('FP32', 1, '[1]', 'y')],
      ['another datatype', vector('FP64', 1, '[1]')],
      ['no datatype', '{"inputs":[{"name":"x","shape":[1],"data":[1]}]}'],
      ['too few values', vector('FP32', 2, '[1]')],
      ['too many values', vector('FP32', 2, '[1,2,3]')],
      ['data that are no array', vector('FP32', 1, '1')],
      ['no data', '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}'],
      ['a string for a number', vector('FP32', 1, '["1"]')],
      ['null for a number', vector('FP32', 1, '[null]')],
      ['NaN', vector('FP32', 1, '[NaN]')],
      ['Infinity', vector('FP32', 1, '[-Infinity]')],
      ['a number beyond FP32', vector('FP32', 1, '[1e39]')],
      ['a number beyond FP64', vector('FP32', 1, '[1e999]')],
      ['a negative dimension', vector('FP32', -1, '[1]')],
      ['another rank', '{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}'],
      [
        'a dimension out of all measure',
        '{"inputs":[{"name":"x","shape":[9e15],"datatype":"FP32","data":[]}]}',
      ],
      ['an input given twice', vector('FP32', 1, '[1]').replace(/\[(\{.*\})\]/, '[$1,$1]')],
      ['parameters that are no object', vector('FP32', 1, '[1]').replace('{', '{"parameters":3,')],
      [
        'binary_data_output that is no boolean',
        vector('FP32', 1, '[1]').replace('{', '{"parameters":{"binary_data_output":1},'),
      ],
      [
        'shared memory',
        '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}}]}',
      ],
    ])('refuses %s', async (_, body) => {
      refused(await infer(target(), 'id_fp32', body), 400);
    });

    it.each([
      ['INT64', '[9223372036854775808]'],
      ['INT64', '[9007199254740993.0]'],
      ['INT64', '[1e19]'],
      ['INT64', '[1.5]'],
      ['UINT64', '[18446744073709551616]'],
      ['UINT64', '[-1]'],
      ['UINT64', '[-9007199254740993]'],
      ['INT8', '[128]'],
      ['UINT8', '[-1]'],
      ['INT32', '[0.5]'],
      ['UINT32', '[4294967296]'],
      ['BOOL', '[1]'],
      ['BYTES', '[1]'],
      ['FP16', '[1]'],
    ] as const)('refuses %s of %s', async (datatype, data) => {
      refused(await infer(target(), identityName(datatype), vector(datatype, 1, data)), 400);
    });

    it('finds the exact digits wherever they stand', async () => {
      const exact = '9007199254740993';
      const body = `{"outputs":[{"name":"b_out"}],"x":{"inputs":[{"data":[1]}]},"i\\u006eputs":[
        {"name":"c","shape":[1],"datatype":"BYTES","data":["[\\"}1,2"]},
        {"data":[0],"shape":[2,1],"name":"b","datatype":"INT64","shape":[2],"d\\u0061ta":[ [5] ,\n${exact} ]},
        {"name":"a","shape":[1],"datatype":"FP32","data":[1]}]}`;
      refused(await infer(target(), 'triple', body), 400);
      const fixed = body.replace('[ [5] ,', '[ 5 ,');
      expect(inferred(await infer(target(), 'triple', fixed)).text).toContain(
        `"data":[5,${exact}]`,
      );
    });

    it('bounds nesting without being slow about it', async () => {
      const started = performance.now();
      const bomb = `{"inputs":[{"name":"x","data":${'['.repeat(5_000_000)}`;
      refused(await infer(target(), 'id_fp32', bomb), 400);
      expect(performance.now() - started).toBeLessThan(2000);
    });

    it('refuses bytes that are not UTF-8', async () => {
      const body = Buffer.from(vector('BYTES', 1, '["?"]'));
      body[body.indexOf('?')] = 0xff;
      refused(await send(target(), 'POST', '/v2/models/id_bytes/infer', body), 400);
    });
  });
}
