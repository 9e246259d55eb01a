import { describe } from 'vitest';
import { describeChecks } from './support/python-checks.ts';

const DATATYPES = [
  ...['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64'],
  ...['FP16', 'FP32', 'FP64', 'BYTES'],
];

describe('tritonclient.http', () => {
  describeChecks('triton_http.py', [
    'health: live and ready, known and unknown models',
    'metadata of the server and of a model',
    'configuration: platform, tensors, where it runs',
    'repository index',
    ...DATATYPES.flatMap((datatype) => [
      `${datatype} as binary, bit for bit`,
      ...(datatype === 'FP16' ? [] : [`${datatype} as JSON, bit for bit`]),
    ]),
    'NaN payloads, infinities and denormals as binary',
    'an empty tensor',
    'JSON and binary mixed in one request and one answer',
    "sum and difference of Triton's simple example",
    "a computed output equals ONNX Runtime's bit for bit",
    'request id, pinned version and parameters come back',
    'bodies compressed with gzip and deflate, both ways',
    'a body of 20 MB',
    'async_infer on eight connections',
    'concurrent requests share calls, and each gets its own rows',
    'the asyncio client',
    'statistics of one model and of all',
    'priority and a timeout that is kept',
    'a timeout that passes in the queue',
    "errors say what is wrong, with the protocol's status",
    'what is not offered is refused, never ignored',
    'a body that the client made and another library sent',
  ]);
});
