import { type Bench, QUICK, runBench } from './support/bench.ts';
import {
  alternate,
  answeredIn,
  COMPARE_HEADING,
  compareRow,
  errorsIn,
  ratio,
  type Windows,
} from './support/compare.ts';
import { describeMortgage, mortgageRequests } from './support/mortgage.ts';
import { atLeast, table, verdict } from './support/report.ts';
import { requireSameTensors } from './support/same-outputs.ts';
import { NodeServer } from './support/server.ts';

const QUESTION =
  'What does the agent cost over a bare node:http server that parses the same JSON and calls the same session.run?';

const CONNECTIONS = [1, 16, 64];
const EFFORT = QUICK ? { rounds: 3, windowMs: 400 } : { rounds: 9, windowMs: 1500 };
const GOAL_CONNECTIONS = 64;
const GOAL = atLeast(0.6);
const COMPARED_ROWS = 50;

async function compare(bench: Bench): Promise<boolean> {
  const files = await describeMortgage(bench.folder);
  const core = bench.cores.server;
  const setup = { name: 'mortgage', files, serving: {}, observing: true };
  const bareSetup = { name: 'mortgage', modelPath: files.modelPath, shape: [] };
  const agent = bench.owns(await NodeServer.start('agent', 'server-agent.js', core, setup));
  const bare = bench.owns(await NodeServer.start('bare', 'server-bare.js', core, bareSetup));
  const rows = await mortgageRequests();
  await requireSameTensors([agent.port, bare.port], rows.slice(0, COMPARED_ROWS));
  const requests = await bench.requestFile('mortgage', rows);
  const lines = [COMPARE_HEADING];
  const all: Windows[] = [];
  let verdictLine = '';
  let warmUp = 0;
  for (const connections of CONNECTIONS) {
    const stream = { requests, connections };
    const sides = [agent, bare].map((server) => ({ label: server.name, server, stream }));
    const { measured, thrownAway } = await alternate(sides, bench.load, EFFORT);
    const [ofAgent, ofBare] = measured;
    lines.push(compareRow(connections, ofAgent, ofBare), compareRow(connections, ofBare, ofBare));
    warmUp += thrownAway[0];
    all.push(ofAgent, ofBare);
    if (connections === GOAL_CONNECTIONS) {
      verdictLine = verdict(`${connections} connections`, GOAL, ratio(ofAgent, ofBare));
    }
  }
  const { rounds, windowMs } = EFFORT;
  const how = `${rounds} pairs of ${windowMs} ms windows, medians`;
  process.stdout.write(`${how}\n\n${table(lines)}\n\n${verdictLine}\n`);
  const ofAgent = all.filter(({ label }) => label === agent.name);
  const answered = ofAgent.reduce((sum, one) => sum + answeredIn(one), warmUp + COMPARED_ROWS);
  return (await observedAll(agent, answered)) && errorsIn(all) === 0;
}

/** What was timed must also have been counted, row for row. */
async function observedAll(agent: NodeServer, answered: number): Promise<boolean> {
  const observed = await agent.finish();
  process.stdout.write(`rows answered by the agent: ${answered}; in its windows: ${observed}\n`);
  return observed === answered;
}

await runBench(QUESTION, compare);
