import { randomRows, seeded } from '../test/support/random-models.ts';
import { type Bench, QUICK, runBench } from './support/bench.ts';
import {
  alternate,
  COMPARE_HEADING,
  compareRow,
  errorsIn,
  ratio,
  type Side,
} from './support/compare.ts';
import { describeMade } from './support/described.ts';
import { CONV_SHAPE } from './support/models.ts';
import { poolModel } from './support/pool-model.ts';
import { atLeast, table, verdict } from './support/report.ts';
import { binaryRequest, type FloatTensor, jsonRequest, rawRequest } from './support/requests.ts';
import { requireSameTensors } from './support/same-outputs.ts';
import { NodeServer } from './support/server.ts';

const QUESTION =
  'What does it cost to take in an image of 602 KB, over a bare node:http server that is sent its bytes alone?';

/** One alone, and as many as keep a server busy while others are on their way. */
const CONNECTIONS = [1, 8];
const EFFORT = QUICK ? { rounds: 3, windowMs: 500 } : { rounds: 8, windowMs: 1000 };
const IMAGES = 8;
const NAME = 'pool';
const SHAPE = [1, ...CONV_SHAPE];

const RAW = atLeast(0.9);
const OVER_JSON = atLeast(30);

async function compare(bench: Bench): Promise<boolean> {
  const files = await describeMade(bench.folder, NAME, poolModel(), 0);
  const core = bench.cores.server;
  const setup = { name: NAME, files, serving: {}, observing: true };
  const bareSetup = { name: NAME, modelPath: files.modelPath, shape: SHAPE };
  const ours = bench.owns(await NodeServer.start('ours', 'server-agent.js', core, setup));
  const bare = bench.owns(await NodeServer.start('bare', 'server-bare.js', core, bareSetup));
  const random = seeded(7);
  const count = SHAPE.reduce((product, size) => product * size, 1);
  const images = Array.from(
    { length: IMAGES },
    (): FloatTensor => ({ shape: SHAPE, data: randomRows(1, count, random) }),
  );
  const binary = images.map((image) => binaryRequest(NAME, image));
  const json = images.map((image) => jsonRequest(NAME, image));
  await requireSameTensors([ours.port, bare.port], [...binary, json[0]]);
  const raw = images.map((image) => rawRequest(NAME, image));
  const paths = {
    binary: await bench.requestFile('binary', binary),
    json: await bench.requestFile('json', json),
    raw: await bench.requestFile('raw', raw),
  };
  const lines = [COMPARE_HEADING];
  const verdicts: string[] = [];
  let errors = 0;
  for (const connections of CONNECTIONS) {
    const side = (label: string, server: NodeServer, requests: string): Side => ({
      label,
      server,
      stream: { requests, connections },
    });
    const { measured } = await alternate(
      [
        side('ours binary', ours, paths.binary),
        side('bare raw', bare, paths.raw),
        side('bare binary', bare, paths.binary),
        side('ours JSON', ours, paths.json),
      ],
      bench.load,
      EFFORT,
    );
    const [ourBinary, bareRaw, , ourJson] = measured;
    lines.push(...measured.map((one) => compareRow(connections, one, bareRaw)));
    errors += errorsIn(measured);
    verdicts.push(
      verdict(`${connections} conns, ours binary / bare raw`, RAW, ratio(ourBinary, bareRaw)),
      verdict(
        `${connections} conns, ours binary / ours JSON`,
        OVER_JSON,
        ratio(ourBinary, ourJson),
      ),
    );
  }
  process.stdout.write(
    `${EFFORT.rounds} rounds of ${EFFORT.windowMs} ms windows, medians; ratios to bare raw\n\n${table(lines)}\n\n${verdicts.join('\n')}\n`,
  );
  return errors === 0;
}

await runBench(QUESTION, compare);
