import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { answerCommands } from './child.ts';
import { type ServerAnswer, type ServerCommand, usage } from './server-protocol.ts';

/**
 * What someone writes who needs one model behind HTTP and nothing else: parse, run, answer. No checks, no routes,
 * no versions, nothing counted; the same fields in the answer as the agent gives.
 */
interface BareRequest {
  readonly inputs: readonly {
    readonly shape: readonly number[];
    readonly data: readonly number[];
  }[];
}

const session = await InferenceSession.create(process.argv[2], {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
let decisions = 0;

async function infer(body: Buffer, res: ServerResponse): Promise<void> {
  const [input] = (JSON.parse(body.toString()) as BareRequest).inputs;
  const features = new Tensor('float32', new Float32Array(input.data), input.shape);
  const { label, probabilities } = await session.run({ features });
  decisions += 1;
  const answer = JSON.stringify({
    model_name: 'mortgage',
    model_version: '1',
    parameters: { decision_id: `bare.${decisions}`, arm: 'stable', generation: 1 },
    outputs: [
      {
        name: 'label',
        datatype: 'INT64',
        shape: label.dims,
        data: [...(label.data as BigInt64Array)].map(Number),
      },
      {
        name: 'probabilities',
        datatype: 'FP32',
        shape: probabilities.dims,
        data: [...(probabilities.data as Float32Array)],
      },
    ],
  });
  res.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(answer),
  });
  res.end(answer);
}

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    infer(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks), res).catch(() => {
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
