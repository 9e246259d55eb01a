import { DDSketch } from '@datadog/sketches-js';
import { TDigest } from 'tdigest';
import { createNodeRuntime } from '../agent/engine/model/runtime-node.ts';
import { type Answered, Recorder } from '../agent/engine/observe/recorder.ts';
import { binOf, MAX_BINS } from '../protocol/sketch/grid.ts';
import { allocatedPerCall } from './support/allocated.ts';
import { QUICK } from './support/bench.ts';
import { TINY_FEATURES, tinyModel } from './support/models.ts';
import { answeredRequests, MANIFEST, recordedGrids } from './support/recorded.ts';
import {
  atLeast,
  atMost,
  machineLine,
  quartiles,
  showQuartiles,
  table,
  verdict,
} from './support/report.ts';

const QUESTION =
  'What does it cost to record an answered request (16 inputs, 2 outputs, latency, fairness)?';

const ROUNDS = QUICK ? 5 : 41;
const WINDOW_MS = 20;
/** Requests in turn; as many as fit into a core's own cache, whatever records them. */
const REQUESTS = 512;
const BATCH = 64;
const VALUES = TINY_FEATURES + 2;
/** Of sketches-js and of the bins within which a value is placed there. */
const RELATIVE_ACCURACY = 0.01;

const grids = recordedGrids();
const requests = answeredRequests(REQUESTS);
const singles = requests.map((request) => [request]);
const batches = Array.from({ length: REQUESTS / BATCH }, (_, at) =>
  requests.slice(at * BATCH, (at + 1) * BATCH),
);

/** Every value of every request: 16 inputs, then both outputs. */
const values = Float64Array.from(
  requests.flatMap(({ inputs, outputs }) => [...numbers(inputs, 'x'), ...numbers(outputs, 'y')]),
);

function numbers(tensors: Answered['inputs'], name: string): number[] {
  return Array.from(tensors.get(name)?.data ?? [], Number);
}

/**
 * The place of each value's bin in one flat table, by request: found beforehand, so that nothing but the increment is
 * left. What a request holds lies in an array of its own, as a tensor does.
 */
function places(): Uint32Array[] {
  return requests.map((_, request) =>
    Uint32Array.from({ length: VALUES }, (_, column) => {
      const grid = column < TINY_FEATURES ? grids.features[column] : grids.prediction;
      if (grid.kind !== 'numeric') throw new Error('all columns are numeric');
      return column * MAX_BINS + binOf(grid, values[request * VALUES + column]);
    }),
  );
}

type Pass = () => void | Promise<void>;

/** Each records all REQUESTS once. */
async function passes(): Promise<Record<string, Pass>> {
  const bins = places();
  const counts = new Uint32Array(MAX_BINS * VALUES);
  const one = new Recorder('d', '', 'stable', MANIFEST, grids);
  const many = new Recorder('d', '', 'stable', MANIFEST, grids);
  const datadog = Array.from(
    { length: VALUES },
    () => new DDSketch({ relativeAccuracy: RELATIVE_ACCURACY }),
  );
  const digests = Array.from({ length: VALUES }, () => new TDigest());
  const runtime = await createNodeRuntime();
  const session = await runtime.open(tinyModel(), { provider: 'cpu', intraOpThreads: 1 });
  return {
    bare: () => {
      for (let at = 0; at < bins.length; at += 1) {
        const places = bins[at];
        for (let k = 0; k < VALUES; k += 1) counts[places[k]] += 1;
      }
    },
    one: () => {
      for (let at = 0; at < singles.length; at += 1) one.answered(singles[at]);
    },
    many: () => {
      for (let at = 0; at < batches.length; at += 1) many.answered(batches[at]);
    },
    datadog: () => {
      for (let at = 0; at < values.length; at += 1) datadog[at % VALUES].accept(values[at]);
    },
    tdigest: () => {
      for (let at = 0; at < values.length; at += 1) digests[at % VALUES].push(values[at]);
    },
    run: async () => {
      for (let at = 0; at < requests.length; at += 1) await session.run(requests[at].inputs);
    },
  };
}

/** Nanoseconds of CPU time a request, over WINDOW_MS: what others take of the core meanwhile is not in it. */
async function time(pass: Pass): Promise<number> {
  const start = process.cpuUsage();
  let takenUs = 0;
  let done = 0;
  while (takenUs < WINDOW_MS * 1000) {
    for (let again = 0; again < 4; again += 1) {
      const waited = pass();
      if (waited !== undefined) await waited;
    }
    done += 4 * REQUESTS;
    const { user, system } = process.cpuUsage(start);
    takenUs = user + system;
  }
  return (takenUs * 1000) / done;
}

const NAMES: Readonly<Record<string, string>> = {
  bare: 'bare increments on the same bins',
  many: `agent, ${BATCH} answers at a time`,
  one: 'agent, one at a time',
  datadog: '@datadog/sketches-js, 1 %',
  tdigest: 'tdigest',
  run: 'session.run of tiny',
};

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
const all = await passes();
const found = Object.fromEntries(Object.keys(NAMES).map((name) => [name, [] as number[]]));
for (let round = -2; round < ROUNDS; round += 1) {
  for (const name of Object.keys(NAMES)) {
    const ns = await time(all[name]);
    if (round >= 0) found[name].push(ns);
  }
}
const ratio = (over: string, under: string) =>
  quartiles(found[over].map((ns, round) => ns / found[under][round]));
const lines = Object.keys(NAMES).map((name) => {
  const { median, q1, q3 } = quartiles(found[name]);
  const shown = [median, q1, q3].map((ns) => ns.toFixed(0));
  return [NAMES[name], ...shown, (median / VALUES).toFixed(1), showQuartiles(ratio(name, 'bare'))];
});
const head = ['recorded by', 'ns/request', 'q1', 'q3', 'ns/value', 'x bare'];
process.stdout.write(`${table([head, ...lines])}\n\n`);
for (const name of ['many', 'one']) {
  const who = NAMES[name];
  process.stdout.write(`${verdict(`${who} / bare`, atMost(2.5), ratio(name, 'bare'))}\n`);
  process.stdout.write(`${verdict(`${who}, share of a run`, atMost(0.02), ratio(name, 'run'))}\n`);
  process.stdout.write(`${verdict(`sketches-js / ${who}`, atLeast(5), ratio('datadog', name))}\n`);
  const bytes = allocatedPerCall(() => void all[name]()) / REQUESTS;
  process.stdout.write(`${verdict(`${who}, bytes allocated a row`, atMost(0.5), bytes)}\n`);
}
