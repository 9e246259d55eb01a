import { execFile } from 'node:child_process';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildModel } from '../support/onnx-graph-builder.ts';
import { FEATURES, inputOf, linear, SCORE, scale } from '../support/pipeline-models.ts';
import { type AgentHandle, Stack, until } from '../support/stack.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const CLI = join(ROOT, 'control-plane/cli/driftline.js');
const PAGE = join(ROOT, 'agent/PIPELINES.md');

let stack: Stack;
let agent: AgentHandle;

beforeAll(async () => {
  stack = await Stack.start();
  agent = await stack.addAgent('host');
});
afterAll(() => stack.stop());

async function driftline(...argv: string[]): Promise<string> {
  const env = { ...process.env, DRIFTLINE_URL: stack.url, DRIFTLINE_TOKEN: stack.token };
  const { stdout } = await run(process.execPath, [CLI, ...argv], { cwd: stack.folder, env });
  return stdout;
}

async function refusal(...argv: string[]): Promise<string> {
  try {
    return await driftline(...argv);
  } catch (error) {
    return String((error as { stderr?: string }).stderr);
  }
}

async function push(name: string, bytes: Uint8Array): Promise<void> {
  await writeFile(join(stack.folder, `${name}.onnx`), bytes);
  await driftline('model', 'push', `${name}.onnx`, '--name', name);
}

const deploy = (version: string, as: string) =>
  driftline('deploy', version, '--as', as, '--strategy', 'all-at-once');

async function ask(model: string, rows: readonly (readonly number[])[]) {
  const response = await fetch(`${agent.url}/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs: [inputOf(rows)] }),
  });
  const answer = (await response.json()) as {
    model_version?: string;
    outputs?: { data: number[] }[];
    error?: string;
  };
  return { status: response.status, ...answer };
}

const answers = (model: string, version: string, data: readonly number[]) =>
  until(`${model} ${version}`, async () => {
    const answer = await ask(model, [
      [1, 2, 3],
      [10, 0, 0],
    ]);
    if (answer.status !== 200 || answer.model_version !== version) return null;
    expect(answer.outputs?.[0].data).toEqual(data);
    return answer;
  });

const step = (deployment: string, inputs: unknown, outputs: unknown) => ({
  kind: 'step',
  deployment,
  inputs,
  outputs,
});
const ports = { schema: 1, inputs: [FEATURES], outputs: [SCORE], root: 'main' };

/** Version 1 doubles and scores; version 2 takes large rows to the score as they are. */
const V1 = {
  ...ports,
  nodes: {
    main: { kind: 'sequence', nodes: ['double', 'score'] },
    double: step('double', ['x'], { y: 'doubled' }),
    score: step('score', { x: 'doubled' }, ['score']),
  },
};
const V2 = {
  ...ports,
  nodes: {
    main: {
      kind: 'switch',
      on: { tensor: 'x', index: 0 },
      cases: [{ op: '>', value: 5, node: 'plain' }],
      default: 'both',
    },
    both: { kind: 'sequence', nodes: ['double', 'score'] },
    double: V1.nodes.double,
    score: V1.nodes.score,
    plain: step('score', ['x'], ['score']),
  },
};

test('PIPELINE-60: two models and a pipeline of them, from push to rollback', async () => {
  await push('double', buildModel(scale(2)));
  await push('score', buildModel(linear([1, 1, 1], 0)));
  for (const [at, graph] of [V1, V2].entries()) {
    await writeFile(join(stack.folder, 'graph.json'), JSON.stringify(graph));
    const said = await driftline(
      ...['model', 'push', 'graph.json', '--pipeline', '--name', 'credit', '--json'],
    );
    expect(JSON.parse(said)).toMatchObject({ model: 'credit', version: at + 1 });
  }
  expect(await refusal('deploy', 'credit@1', '--as', 'credit')).toMatch(
    /calls deployments that are not there: "double", "score"/,
  );
  await deploy('double@1', 'double');
  await deploy('score@1', 'score');
  await deploy('credit@1', 'credit');
  await answers('credit', '1', [12, 20]);
  await deploy('credit@2', 'credit');
  await answers('credit', '2', [12, 10]);
  await driftline('rollback', 'credit', '--reason', 'test');
  await answers('credit', '1', [12, 20]);
});

test('PIPELINE-61: the example of the page works as printed', async () => {
  const page = await readFile(PAGE, 'utf8');
  for (const [, name, text] of page.matchAll(/```json file=(\S+)\n([\s\S]*?)```/g)) {
    await writeFile(join(stack.folder, name), text);
  }
  await symlink(join(ROOT, 'control-plane'), join(stack.folder, 'control-plane'));
  // What `driftline up` has done.
  await stack.push('v1');
  await deploy('mortgage@1', 'mortgage');
  const commands = [...page.matchAll(/^\$ driftline (.*)$/gm)].map(([, line]) => line);
  expect(commands).toHaveLength(4);
  for (const line of commands) await driftline(...line.split(' '));
  const body = /-d '(\{[\s\S]*?\})'/.exec(page)?.[1] ?? '';
  const { outputs } = await until('the example', async () => {
    const url = `${agent.url}/v2/models/second-opinion/infer`;
    const response = await fetch(url, { method: 'POST', body });
    return response.status === 200 ? ((await response.json()) as Answered) : null;
  });
  expect(outputs.map(({ name, shape }) => [name, shape])).toEqual([
    ['probabilities', [2, 2]],
    ['label', [2]],
  ]);
  const rowsOf = async (name: string) => {
    const response = await fetch(`${agent.url}/v2/models/${name}/stats`);
    const { model_stats: stats } = (await response.json()) as {
      model_stats: { inference_count: number }[];
    };
    return stats[0].inference_count;
  };
  expect([await rowsOf('mortgage'), await rowsOf('mortgage-next')]).toEqual([2, 1]);
});

interface Answered {
  readonly outputs: readonly { name: string; shape: number[] }[];
}
