import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { featureRows } from './demo/rows.ts';
import { EXAMPLE, EXAMPLE_NAME } from './programs.ts';
import type { Terminal } from './terminal.ts';

export interface Greeting {
  readonly url: string;
  readonly agentUrl: string;
  readonly deployment: string;
  readonly data: string;
  /** On the very first start only. */
  readonly token: string | null;
}

/** Where things listen and what to try next. */
export async function sayUp(terminal: Terminal, greeting: Greeting): Promise<void> {
  const { url, agentUrl, deployment, data, token } = greeting;
  terminal.result(greeting);
  const dim = (text: string) => terminal.paint('dim', text);
  terminal.say(`${terminal.paint('bold', 'driftline is up')}  ${dim('Ctrl-C stops it')}`);
  terminal.say(`  control plane  ${url}  ${dim('API at /docs')}`);
  terminal.say(`  agent          ${agentUrl}  ${dim(`serves "${deployment}"`)}`);
  terminal.say(`  data and logs  ${data}`);
  if (token !== null) {
    terminal.say(
      `\n${terminal.paint('bold', 'Your admin token')}, shown this once; in another terminal:\n`,
    );
    terminal.say(`  export DRIFTLINE_TOKEN=${token}`);
  }
  terminal.say('\nThen try:\n');
  const elsewhere = url === 'http://127.0.0.1:7700' ? '' : `DRIFTLINE_URL=${url} `;
  for (const command of [
    `curl -s ${agentUrl}/v2/models/${deployment}/infer -d '${await firstRequest()}'`,
    `${elsewhere}npx driftline status`,
    `${elsewhere}npx driftline model push ${exampleFile('v3.onnx')} --name ${EXAMPLE_NAME} \\\n` +
      `    --baseline ${exampleFile('baseline.csv')} --manifest ${exampleFile('manifest.json')}`,
  ]) {
    terminal.say(`  ${terminal.paint('cyan', command)}`);
  }
}

async function firstRequest(): Promise<string> {
  const [row = []] = featureRows(await readFile(join(EXAMPLE, 'traffic.csv'), 'utf8')).map(
    (each) => each.values,
  );
  const input = { name: 'features', shape: [1, row.length], datatype: 'FP32', data: row };
  return JSON.stringify({ inputs: [input] });
}

function exampleFile(name: string): string {
  return relative(process.cwd(), join(EXAMPLE, name));
}
