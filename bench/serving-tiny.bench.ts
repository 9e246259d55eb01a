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
import { TINY_FEATURES, tinyModel } from './support/models.ts';
import { atLeast, atMost, table, verdict } from './support/report.ts';
import { binaryRequest, jsonRequest } from './support/requests.ts';
import { requireSameTensors } from './support/same-outputs.ts';
import { NodeServer } from './support/server.ts';

const QUESTION =
  'What does a call of a tiny model cost, over a bare node:http server that runs await session.run for each?';

const CONNECTIONS = [1, 16, 64];
const EFFORT = QUICK ? { rounds: 3, windowMs: 400 } : { rounds: 8, windowMs: 1000 };
/** Different rows, so that nothing but their frame can be remembered. */
const ROWS = 512;
const NAME = 'tiny';
const SHAPE = [1, TINY_FEATURES];

const BINARY = atLeast(1.5);
const JSON_ = atLeast(1.2);
const ONE_P50 = atMost(1.1);
const OBSERVING = atLeast(0.98);

interface Servers {
  readonly ours: NodeServer;
  readonly unobserved: NodeServer;
  readonly bare: NodeServer;
}

async function start(bench: Bench): Promise<Servers> {
  const files = await describeMade(bench.folder, NAME, tinyModel(), TINY_FEATURES);
  const core = bench.cores.server;
  const agent = { name: NAME, files, serving: {} };
  const bare = { name: NAME, modelPath: files.modelPath, shape: SHAPE };
  return {
    ours: bench.owns(
      await NodeServer.start('ours', 'server-agent.js', core, { ...agent, observing: true }),
    ),
    unobserved: bench.owns(
      await NodeServer.start('off', 'server-agent.js', core, { ...agent, observing: false }),
    ),
    bare: bench.owns(await NodeServer.start('bare', 'server-bare.js', core, bare)),
  };
}

async function compare(bench: Bench): Promise<boolean> {
  const { ours, unobserved, bare } = await start(bench);
  const random = seeded(7);
  const rows = Array.from({ length: ROWS }, () => ({
    shape: SHAPE,
    data: randomRows(1, TINY_FEATURES, random),
  }));
  const binary = rows.map((row) => binaryRequest(NAME, row));
  const json = rows.map((row) => jsonRequest(NAME, row));
  await requireSameTensors([ours.port, bare.port], [...binary.slice(0, 50), ...json.slice(0, 50)]);
  const files = {
    binary: await bench.requestFile('binary', binary),
    json: await bench.requestFile('json', json),
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
    const { measured: found } = await alternate(
      [
        side('ours binary', ours, files.binary),
        side('bare binary', bare, files.binary),
        side('ours binary, not observing', unobserved, files.binary),
        side('ours JSON', ours, files.json),
        side('bare JSON', bare, files.json),
      ],
      bench.load,
      EFFORT,
    );
    const [ourBinary, bareBinary, off, ourJson, bareJson] = found;
    for (const one of [ourBinary, off, bareBinary]) {
      lines.push(compareRow(connections, one, bareBinary));
    }
    for (const one of [ourJson, bareJson]) lines.push(compareRow(connections, one, bareJson));
    errors += errorsIn(found);
    const at = `${connections} connection${connections === 1 ? '' : 's'}`;
    if (connections === 1) {
      verdicts.push(
        verdict(`binary p50, ${at}, ours / bare`, ONE_P50, ratio(ourBinary, bareBinary, 'p50Us')),
        verdict(`JSON p50, ${at}, ours / bare`, ONE_P50, ratio(ourJson, bareJson, 'p50Us')),
      );
    }
    if (connections === 64) {
      verdicts.push(
        verdict(`binary, ${at}, ours / bare`, BINARY, ratio(ourBinary, bareBinary)),
        verdict(`JSON, ${at}, ours / bare`, JSON_, ratio(ourJson, bareJson)),
        verdict(`observing / not observing, ${at}`, OBSERVING, ratio(ourBinary, off)),
      );
    }
  }
  process.stdout.write(
    `${EFFORT.rounds} rounds of ${EFFORT.windowMs} ms windows, medians; ratios to bare\n\n${table(lines)}\n\n${verdicts.join('\n')}\n`,
  );
  return errors === 0;
}

await runBench(QUESTION, compare);
