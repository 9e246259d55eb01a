import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { answerCommands } from './child.ts';
import { HEADER_LENGTH } from './requests.ts';
import { type ServerAnswer, type ServerCommand, usage } from './server-protocol.ts';

/**
 * What someone writes who needs one model behind HTTP and nothing else: parse, run, answer. No checks, no routes,
 * no versions, nothing counted; the same fields in the answer as the agent gives. A binary request's JSON is not even
 * looked at: the shape is known, as is where the tensor lies.
 */
export interface BareSetup {
  readonly name: string;
  readonly modelPath: string;
  /** Of the only input. */
  readonly shape: readonly number[];
}

interface JsonRequest {
  readonly inputs: readonly {
    readonly shape: readonly number[];
    readonly data: readonly number[];
  }[];
}

type Outputs = Awaited<ReturnType<InferenceSession['run']>>;

const { name, modelPath, shape } = JSON.parse(process.argv[2]) as BareSetup;
const count = shape.reduce((product, size) => product * size, 1);
const session = await InferenceSession.create(modelPath, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
const [inputName] = session.inputNames;
let decisions = 0;

function infer(data: Float32Array, dims: readonly number[]): Promise<Outputs> {
  decisions += 1;
  return session.run({ [inputName]: new Tensor('float32', data, dims) });
}

async function inferJson(body: Buffer, res: ServerResponse): Promise<void> {
  const [input] = (JSON.parse(body.toString()) as JsonRequest).inputs;
  const outputs = await infer(new Float32Array(input.data), input.shape);
  const answer = JSON.stringify({
    model_name: name,
    model_version: '1',
    parameters: { decision_id: `bare.${decisions}`, arm: 'stable', generation: 1 },
    outputs: session.outputNames.map((output) => {
      const { type, dims, data } = outputs[output];
      return type === 'int64'
        ? {
            name: output,
            datatype: 'INT64',
            shape: dims,
            data: [...(data as BigInt64Array)].map(Number),
          }
        : { name: output, datatype: 'FP32', shape: dims, data: [...(data as Float32Array)] };
    }),
  });
  res.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(answer),
  });
  res.end(answer);
}

/** `headerLength` 0: the body is the tensor, and so is the answer. */
async function inferBinary(body: Buffer, headerLength: number, res: ServerResponse): Promise<void> {
  const at = body.byteOffset + headerLength;
  const data =
    at % 4 === 0
      ? new Float32Array(body.buffer, at, count)
      : new Float32Array(body.buffer.slice(at, at + 4 * count));
  const output = (await infer(data, shape))[session.outputNames[0]];
  const values = output.data as Float32Array;
  const tensor = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  if (headerLength === 0) {
    res.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': tensor.length,
    });
    res.end(tensor);
    return;
  }
  const json = Buffer.from(
    `{"model_name":"${name}","model_version":"1","parameters":{"decision_id":"bare.${decisions}","arm":"stable","generation":1},` +
      `"outputs":[{"name":"${session.outputNames[0]}","datatype":"FP32","shape":[${output.dims.join()}],"parameters":{"binary_data_size":${tensor.length}}}]}`,
  );
  res.writeHead(200, {
    'content-type': 'application/octet-stream',
    [HEADER_LENGTH]: json.length,
    'content-length': json.length + tensor.length,
  });
  res.end(Buffer.concat([json, tensor]));
}

function answer(req: IncomingMessage, body: Buffer, res: ServerResponse): Promise<void> {
  const headerLength = req.headers[HEADER_LENGTH];
  if (headerLength !== undefined) return inferBinary(body, Number(headerLength), res);
  return req.headers['content-type'] === 'application/octet-stream'
    ? inferBinary(body, 0, res)
    : inferJson(body, res);
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    answer(req, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks), res).catch(() => {
      res.writeHead(500).end();
    });
  });
});

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  answerCommands<ServerCommand, ServerAnswer>({ kind: 'listening', port }, async ({ kind }) =>
    kind === 'usage' ? usage() : { kind: 'finished', observedRows: null },
  );
});
