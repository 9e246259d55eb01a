import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { poll } from '../await-state.ts';
import { CliError } from '../error.ts';
import { EXAMPLE } from '../programs.ts';
import { askedToStop } from '../signals.ts';
import type { Terminal } from '../terminal.ts';
import { featureRows } from './rows.ts';
import * as scenes from './scenes.ts';
import { DemoStack } from './stack.ts';
import { Stage } from './stage.ts';
import { type Outcome, Story } from './story.ts';
import { Traffic } from './traffic.ts';

/** Above this the example's drifted rows begin: a third of them. */
const HIGH_LOAN_TO_VALUE = 0.8;
const DRAIN_MS = 15_000;

interface Totals {
  requests: number;
  failed: number;
  /** From the canary's first answer with the bad version to the gate's decision. */
  detectSeconds: number | null;
  /** One per agent, for the operator's rollback, which takes all agents back. */
  revertMs: number[];
  windowsProduced: number | null;
  windowsMerged: number | null;
}

/** Plays the whole story on a stack of its own. Returns the exit code: 0 only if each step happened. */
export async function demo(terminal: Terminal, data: string | null): Promise<number> {
  const folder = resolve(
    data ?? join('.driftline', `demo-${new Date().toISOString().replace(/[:.]/g, '-')}`),
  );
  const totals: Totals = {
    requests: 0,
    failed: 0,
    detectSeconds: null,
    revertMs: [],
    windowsProduced: null,
    windowsMerged: null,
  };
  const story = new Story(terminal);
  const stack = new DemoStack(folder, terminal);
  const beganMs = performance.now();
  const stopped = askedToStop().then((signal) => {
    throw new CliError('failed', `stopped by ${signal}`);
  });
  let ok = true;
  const playing = play(story, stack, totals);
  try {
    await Promise.race([playing, stopped]);
  } catch (error) {
    ok = false;
    const told = story.steps.at(-1)?.error;
    if (!(error instanceof Error) || error.message !== told) terminal.warn(`demo: ${error}`);
  } finally {
    await stack.stop();
    await playing.catch(() => undefined);
  }
  const seconds = Math.round((performance.now() - beganMs) / 100) / 10;
  terminal.result({ ok, ...totals, seconds, data: folder, steps: story.steps });
  terminal.say(
    `\n${totals.requests} requests, ${totals.failed} failed, in ${seconds} s; data and logs in ${relative('.', folder)}`,
  );
  return ok ? 0 : 1;
}

async function play(story: Story, stack: DemoStack, totals: Totals): Promise<void> {
  const rows = featureRows(await readFile(join(EXAMPLE, 'traffic.csv'), 'utf8'));
  const { client, agents } = await story.step('start', async () => {
    const value = await stack.start();
    const names = value.agents.map((agent) => agent.name).join(', ');
    const measured = { agents: value.agents.length };
    return { said: `a control plane and ${names} linked to it`, measured, value };
  });
  const urls = agents.map((agent) => `${agent.url}/v2/models/mortgage/infer`);
  const traffic = new Traffic(urls, rows, [1]);
  const stage = new Stage(client, agents, traffic);
  try {
    await tell(
      story,
      stage,
      totals,
      rows.filter((row) => row.loanToValue > HIGH_LOAN_TO_VALUE),
    );
    await traffic.stop();
    await story.step('accounts', () => settle(stage, stack, totals));
  } finally {
    await traffic.stop();
    totals.requests = traffic.answered + traffic.failed;
    totals.failed = traffic.failed;
  }
}

async function tell(
  story: Story,
  stage: Stage,
  totals: Totals,
  drifted: readonly ReturnType<typeof featureRows>[number][],
): Promise<void> {
  const good = await story.step('push 1', () =>
    scenes.pushScene(stage, 'v1.onnx', 'scores applications'),
  );
  await story.step('deploy 1', () => scenes.deployScene(stage, good));
  await story.step('traffic', () => scenes.trafficScene(stage));
  const about = 'trained with loan_to_value in percent';
  const bad = await story.step('push 2', () => scenes.pushScene(stage, 'v2.onnx', about));
  const canary = await story.step('canary 2', () => scenes.canaryScene(stage, bad, 300_000));
  const { detectSeconds } = await story.step('automatic rollback', () =>
    scenes.detectScene(stage, canary),
  );
  totals.detectSeconds = detectSeconds;
  const better = await story.step('push 3', () =>
    scenes.pushScene(stage, 'v3.onnx', 'correct again'),
  );
  const second = await story.step('canary 3', () =>
    scenes.canaryScene(stage, better, scenes.OBSERVE_MS),
  );
  await story.step('promote 3', () => scenes.promoteScene(stage, second.rollout));
  const { revertMs } = await story.step('rollback to 1', () => scenes.rollbackScene(stage));
  totals.revertMs = revertMs;
  await story.step('input drift', () => scenes.inputDriftScene(stage, drifted));
}

/** Every answered row is in the books once, and every window that an agent made. */
async function settle(
  stage: Stage,
  stack: DemoStack,
  totals: Totals,
): Promise<Outcome & { value: null }> {
  const { answered, failed, failures } = stage.traffic;
  if (failed > 0) throw new CliError('failed', `${failed} requests failed: ${failures.join('; ')}`);
  const read = () => stage.monitoring();
  await poll(read, (view) => view.totals.rows >= answered, DRAIN_MS);
  const { produced, pending, dropped } = await stack.stopAgents();
  const { rows, windows } = (await read()).totals;
  totals.windowsProduced = produced;
  totals.windowsMerged = windows;
  if (rows !== answered || windows !== produced || dropped > 0) {
    throw new CliError(
      'failed',
      `${answered} rows answered, ${rows} merged; ${produced} windows made, ${windows} merged, ` +
        `${pending} not sent, ${dropped} dropped`,
    );
  }
  return {
    said: `${answered} rows answered and ${rows} merged; ${produced} windows made and ${windows} merged; 0 failed`,
    measured: {
      rowsAnswered: answered,
      rowsMerged: rows,
      windowsProduced: produced,
      windowsMerged: windows,
    },
    value: null,
  };
}
