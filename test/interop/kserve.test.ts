import { describe } from 'vitest';
import { describeChecks } from './support/python-checks.ts';

const DATATYPES = [
  ...['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64'],
  ...['FP16', 'FP32', 'FP64', 'BYTES'],
];

/** FP16 has neither a form in JSON nor a typed field. */
const forms = (exact: string, other: string) =>
  DATATYPES.flatMap((datatype) =>
    (datatype === 'FP16' ? [exact] : [exact, other]).map(
      (form) => `${datatype} as ${form}, bit for bit`,
    ),
  );

describe("kserve's InferenceRESTClient", () => {
  describeChecks('kserve_rest.py', [
    'health: live and ready, known and unknown models',
    ...forms('binary', 'JSON'),
    'NaN payloads, infinities and denormals as binary',
    "a computed output equals ONNX Runtime's bit for bit",
    'request id, version and parameters come back',
    'priority and a timeout that is kept',
    "errors say what is wrong, with the protocol's status",
  ]);
});

describe("kserve's InferenceGRPCClient", () => {
  describeChecks('kserve_grpc.py', [
    'health: live and ready, known and unknown models',
    ...forms('raw bytes', 'typed contents'),
    'NaN payloads, infinities and denormals',
    "a computed output equals ONNX Runtime's bit for bit",
    'request id, version and parameters come back',
    "errors say what is wrong, with gRPC's status",
  ]);
});
