import { describe } from 'vitest';
import { describeChecks } from './support/python-checks.ts';

const DATATYPES = [
  ...['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64'],
  ...['FP16', 'FP32', 'FP64', 'BYTES'],
];

describe('tritonclient.grpc', () => {
  describeChecks('triton_grpc.py', [
    'health: live and ready, known and unknown models',
    'metadata of the server and of a model',
    'configuration: platform, tensors, where it runs',
    'repository index',
    ...DATATYPES.map((datatype) => `${datatype}, bit for bit`),
    'NaN payloads, infinities and denormals',
    'an empty tensor and a scalar',
    "sum and difference of Triton's simple example",
    'only the outputs that were asked for',
    "a computed output equals ONNX Runtime's bit for bit",
    'request id, pinned version and parameters come back',
    'messages compressed with gzip and deflate',
    'a message of 20 MB',
    'concurrent requests share calls, and each gets its own rows',
    'a stream answers 50 requests, and an error does not end it',
    'a stream that the client cancels',
    'the asyncio client, alone and as a stream',
    'statistics of one model and of all',
    'priority and a timeout that is kept',
    "a timeout that passes, and a deadline of the client's",
    "errors say what is wrong, with gRPC's status",
    'what is not offered is refused, never ignored',
  ]);
});
