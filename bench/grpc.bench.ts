import { ProtoWriter } from '../agent/engine/serve/grpc/proto-writer.ts';
import { randomRows, seeded } from '../test/support/random-models.ts';
import { type Bench, QUICK, runBench } from './support/bench.ts';
import { BenchChild } from './support/child.ts';
import {
  COMPARE_HEADING,
  compareRow,
  errorsIn,
  type Measured,
  measure,
  ratio,
  type Windows,
} from './support/compare.ts';
import { describeMade } from './support/described.ts';
import type { LoadCommand, StreamResult } from './support/load.ts';
import { TINY_FEATURES, tinyModel } from './support/models.ts';
import { atLeast, table, verdict } from './support/report.ts';
import { binaryRequest, type FloatTensor } from './support/requests.ts';
import { NodeServer } from './support/server.ts';

const QUESTION =
  'What does gRPC cost over REST: ModelInfer with raw contents against the same tensor bytes in binary, same model?';

const NAME = 'tiny';
/** Calls on their way at once: 64 connections over REST, 16 connections of 4 streams over gRPC. */
const AT_ONCE = [4, 64];
const ROWS = [1, 256];
const EFFORT = QUICK ? { rounds: 3, windowMs: 400 } : { rounds: 9, windowMs: 1000 };
const VARIANTS = 64;
const GOAL = atLeast(0.35);

/** A `ModelInferRequest` with its tensor raw, behind the prefix of a gRPC message. */
function grpcRequest({ shape, data }: FloatTensor): Buffer {
  const writer = new ProtoWriter();
  writer.text(1, NAME);
  const input = writer.begin(5);
  writer.text(1, 'x');
  writer.text(2, 'FP32');
  writer.packed(3, shape);
  writer.end(input);
  writer.block(7, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const framed = Buffer.alloc(5 + writer.length);
  framed.writeUInt32BE(writer.length, 1);
  writer.copyTo(framed, 5);
  return framed;
}

async function compare(bench: Bench): Promise<boolean> {
  const files = await describeMade(bench.folder, NAME, tinyModel(), TINY_FEATURES);
  const core = bench.cores.server;
  const agent = { name: NAME, files, serving: {}, observing: true };
  const rest = bench.owns(await NodeServer.start('rest', 'server-agent.js', core, agent));
  const grpc = bench.owns(
    await NodeServer.start('grpc', 'server-agent.js', core, { ...agent, transport: 'grpc' }),
  );
  const { child: grpcLoad } = await BenchChild.start<LoadCommand, StreamResult[]>(
    'load-grpc.js',
    bench.cores.load,
  );
  bench.owns(grpcLoad);
  const lines = [['rows', ...COMPARE_HEADING]];
  const verdicts: string[] = [];
  const all: Windows[] = [];
  const random = seeded(7);
  for (const rows of ROWS) {
    const shape = [rows, TINY_FEATURES];
    const tensors = Array.from({ length: VARIANTS }, () => ({
      shape,
      data: randomRows(rows, TINY_FEATURES, random),
    }));
    const requests = {
      rest: await bench.requestFile(
        `rest-${rows}`,
        tensors.map((tensor) => binaryRequest(NAME, tensor)),
      ),
      grpc: await bench.requestFile(`grpc-${rows}`, tensors.map(grpcRequest)),
    };
    for (const connections of AT_ONCE) {
      const ofRest: Measured[] = [];
      const ofGrpc: Measured[] = [];
      for (let round = 0; round <= EFFORT.rounds; round += 1) {
        const restSide = {
          label: 'rest',
          server: rest,
          stream: { requests: requests.rest, connections },
        };
        const grpcSide = {
          label: 'grpc',
          server: grpc,
          stream: { requests: requests.grpc, connections },
        };
        const one = await measure(restSide, bench.load, EFFORT.windowMs);
        const other = await measure(grpcSide, grpcLoad, EFFORT.windowMs);
        // The first round warms both up.
        if (round === 0) continue;
        ofRest.push(one);
        ofGrpc.push(other);
      }
      const base = { label: 'rest binary', windows: ofRest };
      const over = { label: 'grpc raw', windows: ofGrpc };
      all.push(base, over);
      lines.push([String(rows), ...compareRow(connections, over, base)]);
      lines.push([String(rows), ...compareRow(connections, base, base)]);
      verdicts.push(verdict(`${rows} rows, ${connections} at once`, GOAL, ratio(over, base)));
    }
  }
  const { rounds, windowMs } = EFFORT;
  process.stdout.write(
    `${rounds} pairs of ${windowMs} ms windows, medians\n\n${table(lines)}\n\n${verdicts.join('\n')}\n`,
  );
  return errorsIn(all) === 0;
}

await runBench(QUESTION, compare);
