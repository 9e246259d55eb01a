import { setTimeout as pause } from 'node:timers/promises';
import type { AlertView } from '../../http/alerts.ts';
import type { RollbackResult, RolloutView } from '../../http/services.ts';
import { deploymentStatus, hasEnded } from '../await-state.ts';
import { CliError } from '../error.ts';
import { verdictOf } from '../rollout.ts';
import { showMs } from '../values.ts';
import type { FeatureRow } from './rows.ts';
import { DEPLOYMENT, type Stage, WINDOW_MS } from './stage.ts';
import type { Outcome } from './story.ts';

type Scene<T> = Promise<Outcome & { value: T }>;

/** A good canary is watched for this long before it is promoted. */
export const OBSERVE_MS = 5000;
/** The bound that is promised: two windows and a second. The wait allows for a slow machine. */
const DETECT_BOUND_SECONDS = (2 * WINDOW_MS) / 1000 + 1;
const DETECT_WAIT_MS = 20_000;

export async function pushScene(stage: Stage, file: string, about: string): Scene<number> {
  const { model, version, baselineRows, sentBytes } = await stage.push(file);
  return {
    said: `${model}@${version}: ${about}; profile of ${baselineRows} rows, ${sentBytes} bytes sent`,
    measured: { version, baselineRows, sentBytes },
    value: version,
  };
}

export async function deployScene(stage: Stage, version: number): Scene<null> {
  const beganMs = performance.now();
  await stage.deployEverywhere('mortgage', version);
  const convergeMs = Math.round(performance.now() - beganMs);
  return {
    said: `"${DEPLOYMENT}" is version ${version} on ${stage.agents.length} agents after ${showMs(convergeMs)}`,
    measured: { version, agents: stage.agents.length, convergeMs },
    value: null,
  };
}

/** Two windows of all agents in the books: that sketches flow is shown before anything depends on it. */
export async function trafficScene(stage: Stage): Scene<null> {
  const beganMs = performance.now();
  stage.traffic.start();
  const windows = 2 * stage.agents.length;
  const read = () => stage.monitoring();
  const view = await stage.until(
    read,
    (now) => now.totals.windows >= windows,
    20_000,
    'windows merge',
  );
  const seconds = (performance.now() - beganMs) / 1000;
  const perSecond = Math.round(stage.traffic.answered / seconds);
  return {
    said: `${perSecond} requests/s of real rows; ${view.totals.windows} windows with ${view.totals.rows} rows merged`,
    measured: {
      requestsPerSecond: perSecond,
      windows: view.totals.windows,
      rows: view.totals.rows,
    },
    value: null,
  };
}

export async function canaryScene(
  stage: Stage,
  version: number,
  observeMs: number,
): Scene<{ rollout: RolloutView; canary: number; firstMs: number }> {
  stage.traffic.allow([1, version]);
  const rollout = await stage.startCanary(version, observeMs);
  const canary = stage.canaryOf(rollout);
  const name = stage.agents[canary]?.name;
  const what = `${name} answers with version ${version}`;
  const { atMs: firstMs } = await stage.answer(canary, what, (seen) => seen.version === version);
  const afterMs = firstMs - rollout.createdAt;
  return {
    said: `${name} answers with version ${version}, ${showMs(afterMs)} after the request; the others with 1`,
    measured: { version, agent: name, rollout: rollout.id, firstAnswerMs: afterMs },
    value: { rollout, canary, firstMs },
  };
}

/** From the canary's first bad answer to the decision, and from there to its first good one. */
export async function detectScene(
  stage: Stage,
  { rollout, canary, firstMs }: { rollout: RolloutView; canary: number; firstMs: number },
): Scene<{ detectSeconds: number }> {
  const read = () => stage.rollout(rollout.id);
  const ended = await stage.until(
    read,
    hasEnded,
    DETECT_WAIT_MS,
    'the gate takes the version back',
  );
  const verdict = verdictOf(ended);
  const { kind, requestedAtMs, generation } = ended.state;
  if (kind !== 'rolled-back' || !verdict?.kinds.includes('prediction-drift')) {
    throw new CliError('failed', `the rollout ended ${kind}: ${verdict?.reasons.join('; ')}`);
  }
  const decidedMs = Number(requestedAtMs);
  const detectSeconds = Math.round(decidedMs - firstMs) / 1000;
  const name = stage.agents[canary]?.name;
  const back = await stage.answer(
    canary,
    `${name} answers with version 1 again`,
    (seen) => seen.version === 1 && seen.generation >= Number(generation),
  );
  stage.traffic.allow([1]);
  const canaryRevertMs = back.atMs - decidedMs;
  const { psi = null, rows = null } = verdict.evidence ?? {};
  return {
    said:
      `prediction drift found after ${detectSeconds.toFixed(1)} s (PSI ${psi?.toFixed(2)}, ` +
      `${rows?.candidate} against ${rows?.stable} rows); ${name} was back after ${showMs(canaryRevertMs)}`,
    measured: {
      detectSeconds,
      boundSeconds: DETECT_BOUND_SECONDS,
      agent: name,
      canaryRevertMs,
      psi,
      rows,
      reasons: verdict.reasons,
    },
    value: { detectSeconds },
  };
}

/** A good version passes the same gate. */
export async function promoteScene(stage: Stage, rollout: RolloutView): Scene<null> {
  const read = () => stage.rollout(rollout.id);
  const ended = await stage.until(read, hasEnded, OBSERVE_MS + DETECT_WAIT_MS, 'the gate passes');
  const verdict = verdictOf(ended);
  if (ended.state.kind !== 'completed') {
    const why = verdict?.reasons.join('; ');
    throw new CliError(
      'failed',
      `version ${rollout.to} should pass; it ended ${ended.state.kind}: ${why}`,
    );
  }
  for (const [at, { name }] of stage.agents.entries()) {
    const what = `${name} answers with version ${rollout.to}`;
    await stage.answer(at, what, (seen) => seen.version === rollout.to);
  }
  const seconds = ((ended.finishedAt ?? ended.updatedAt) - ended.createdAt) / 1000;
  const psi = verdict?.evidence?.psi ?? null;
  return {
    said: `version ${rollout.to} passed (PSI ${psi?.toFixed(3)}) and is everywhere after ${seconds.toFixed(1)} s`,
    measured: { version: rollout.to, promotedAfterSeconds: seconds, psi },
    value: null,
  };
}

/** An operator's rollback of all agents: from the request to each one's first answer with version 1. */
export async function rollbackScene(stage: Stage): Scene<{ revertMs: number[] }> {
  const beganMs = Date.now();
  const path = `/api/v1/deployments/${DEPLOYMENT}/rollback`;
  stage.traffic.allow([1, 3]);
  const request = { to: 1, reason: 'demo: an operator takes version 3 back' };
  const { generation } = await stage.client.post<RollbackResult>(path, request);
  const revertMs: number[] = [];
  for (const [at, { name }] of stage.agents.entries()) {
    const seen = await stage.answer(
      at,
      `${name} answers with version 1`,
      (each) => each.version === 1 && each.generation >= generation,
    );
    revertMs.push(seen.atMs - beganMs);
  }
  stage.traffic.allow([1]);
  return {
    said: `from the request to version 1 on each agent: ${revertMs.map(showMs).join(', ')}`,
    measured: { revertMs, generation },
    value: { revertMs },
  };
}

/** The world changes, the model is as good as it was: that is an alert and no reason to roll back. */
export async function inputDriftScene(stage: Stage, drifted: readonly FeatureRow[]): Scene<null> {
  const alerts = () => stage.client.list<AlertView>('/api/v1/alerts?open=true');
  const early = await alerts();
  if (early.length > 0) {
    throw new CliError('failed', `alerts before there was a reason: ${early.map((a) => a.kind)}`);
  }
  const before = await deploymentStatus(stage.client, DEPLOYMENT);
  const beganMs = Date.now();
  stage.traffic.use(drifted);
  const isIt = (alert: AlertView) => alert.kind === 'input-drift';
  const open = await stage.until(
    alerts,
    (all) => all.some(isIt),
    DETECT_WAIT_MS,
    'an input-drift alert',
  );
  const alert = open.find(isIt);
  const alertSeconds = ((alert?.openedAt ?? Date.now()) - beganMs) / 1000;
  // Whoever would roll back wrongly has time to do so.
  await pause(WINDOW_MS);
  const after = await deploymentStatus(stage.client, DEPLOYMENT);
  if (after.updatedAt !== before.updatedAt || after.rollout?.id !== before.rollout?.id) {
    throw new CliError('failed', `something moved "${DEPLOYMENT}" to version ${after.version}`);
  }
  const streams = (alert?.detail.streams ?? []) as { stream: string; psiDebiased: number }[];
  const moved = streams.map(({ stream, psiDebiased }) => {
    return { feature: stream.replace(/^feature:/, ''), psi: Math.round(1000 * psiDebiased) / 1000 };
  });
  const about = moved.map(({ feature, psi }) => `${feature} PSI ${psi.toFixed(2)}`).join(', ');
  return {
    said: `alert after ${alertSeconds.toFixed(1)} s: ${about}; version ${after.version} still serves, no rollback`,
    measured: { alertSeconds, moved, version: after.version, rolledBack: false },
    value: null,
  };
}
