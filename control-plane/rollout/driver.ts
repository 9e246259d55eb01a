import { randomBytes } from 'node:crypto';
import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { Actor } from '../audit/record.ts';
import { record } from '../audit/record.ts';
import type { ArmEvidence } from '../decide/compare-arms.ts';
import { ControlError } from '../error.ts';
import type {
  RollbackRequest,
  RollbackResult,
  RolloutRequest,
  Rollouts,
  RolloutView,
} from '../http/services.ts';
import type { Store, Transaction } from '../store/database.ts';
import { type DeploymentRow, findDeployment, updateDeployment } from '../store/deployments.ts';
import { findVersion } from '../store/models.ts';
import { forgetRefusals } from '../store/reports.ts';
import {
  findLiveRollout,
  findRollout,
  insertRollout,
  liveRollouts,
  updateRollout,
} from '../store/rollouts.ts';
import { decideCohort, inCohort, matchesLabels } from './cohort.ts';
import { judge } from './gate.ts';
import type { Publisher } from './publisher.ts';
import { recordStep } from './record-step.ts';
import {
  beginRollout,
  isEnded,
  observedForMs,
  offersCandidate,
  type RolloutEvent,
  stepRollout,
} from './rollout-state.ts';
import type { Roster, RosterEntry } from './roster.ts';
import {
  NO_PROGRESS,
  type Progress,
  parseRollout,
  type StoredPlan,
  type StoredRollout,
  stateColumn,
  viewOf,
} from './stored-rollout.ts';
import { type GateSummary, summarize } from './summary.ts';

/** setTimeout takes no more; a longer wait is waited for in parts. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How often an unchanged "not yet" is written down for people to see. */
const VERDICT_WRITE_MS = 1_000;

/** Where a rollout's evidence comes from. */
export interface EvidenceSource {
  follow(rollout: StoredRollout): Promise<void>;
  unfollow(id: string): void;
  evidenceOf(id: string): ArmEvidence | null;
}

export interface DriverDeps {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly roster: Roster;
  readonly evidence: EvidenceSource;
  readonly connected: () => ReadonlySet<AgentId>;
  readonly now: () => number;
  readonly onFailure: (where: string, error: unknown) => void;
}

interface Live {
  rollout: StoredRollout;
  timer: NodeJS.Timeout | null;
  verdictWrittenAtMs: number;
}

/** Steps rollouts: events in, database and documents out. What a step means is `rollout-state.ts`. */
export class RolloutDriver implements Rollouts {
  readonly #deps: DriverDeps;
  readonly #live = new Map<string, Live>();
  #closed = false;

  constructor(deps: DriverDeps) {
    this.#deps = deps;
  }

  /** Takes up every rollout that was running when the control plane stopped. */
  async restore(): Promise<void> {
    for (const row of await liveRollouts(this.#deps.store.read)) {
      const rollout = parseRollout(row);
      await this.#deps.evidence.follow(rollout);
      this.#keep(rollout);
    }
  }

  close(): void {
    this.#closed = true;
    for (const live of this.#live.values()) if (live.timer !== null) clearTimeout(live.timer);
    this.#live.clear();
  }

  async start(deployment: string, request: RolloutRequest, actor: Actor): Promise<RolloutView> {
    const now = this.#deps.now();
    const { result } = await this.#deps.publisher.change(now, (tx) =>
      this.#insert(tx, deployment, request, actor, now),
    );
    await this.#deps.evidence.follow(result);
    this.#keep(result);
    return viewOf(result);
  }

  promote(id: string, actor: Actor): Promise<RolloutView> {
    return this.#operate(id, { kind: 'promote', now: this.#deps.now() }, actor);
  }

  abort(id: string, reason: string, actor: Actor): Promise<RolloutView> {
    return this.#operate(id, { kind: 'abort', now: this.#deps.now(), reason }, actor);
  }

  pause(id: string, actor: Actor): Promise<RolloutView> {
    return this.#operate(id, { kind: 'pause', now: this.#deps.now() }, actor);
  }

  resume(id: string, actor: Actor): Promise<RolloutView> {
    return this.#operate(id, { kind: 'resume', now: this.#deps.now() }, actor);
  }

  async rollback(name: string, request: RollbackRequest, actor: Actor): Promise<RollbackResult> {
    const now = this.#deps.now();
    let stepped: StoredRollout | null = null;
    const { result, generation } = await this.#deps.publisher.change(
      now,
      async (tx) => {
        const deployment = await this.#deployment(tx, name);
        const live = await findLiveRollout(tx, name);
        const abort = { kind: 'abort', now, reason: request.reason } as const;
        const before = live === null ? null : parseRollout(live);
        stepped = before === null ? null : await this.#step(tx, before, abort, actor, null);
        return this.#pointBack(tx, deployment, before, request, actor, now);
      },
      async (tx, _, given) => {
        if (stepped !== null) stepped = await this.#noteGeneration(tx, stepped, given);
      },
    );
    if (stepped !== null) this.#keep(stepped);
    this.settle();
    const connected = this.#deps.connected();
    const agents = this.#targets(result.row).map(({ id, name: called }) => ({
      id,
      name: called,
      connected: connected.has(id),
    }));
    return { deployment: name, from: result.from, to: result.to, generation, agents };
  }

  /** Looks at a rollout because there is new evidence. */
  onEvidence(id: string): void {
    const live = this.#live.get(id);
    if (live === undefined || !offersCandidate(live.rollout.state.kind)) return;
    this.#guard('gate', this.#judge(live));
  }

  /** A host's word: a refusal fails its canary, and confirmations may end a step. */
  onReport(agent: AgentId, report: ReportMessage): void {
    // A report older than the offer speaks of an earlier one.
    const speaksOfOffer = report.observed >= this.#deps.publisher.generationOf(agent);
    for (const live of speaksOfOffer ? [...this.#live.values()] : []) {
      const { row, plan } = live.rollout;
      const arms = report.deployments.find(
        (deployment) => deployment.name === row.deployment,
      )?.arms;
      const refused = arms?.find(
        (arm) => arm.state === 'refused' && arm.manifest === plan.candidate.manifest,
      );
      if (refused?.state !== 'refused') continue;
      const reason = `agent ${agent} refused the candidate: ${refused.code}: ${refused.detail}`;
      this.#guard(
        'nack',
        this.#apply(row.id, { kind: 'nack', now: this.#deps.now(), reason }, null),
      );
    }
    this.settle();
  }

  /** Ends steps that every connected host has confirmed. */
  settle(): void {
    const connected = this.#deps.connected();
    for (const { rollout } of this.#live.values()) {
      const { kind } = rollout.state;
      const { generation } = rollout.progress;
      if ((kind !== 'promoting' && kind !== 'rolling-back') || generation === null) continue;
      const targets = this.#targetsOf(rollout);
      const here = targets.filter((entry) => connected.has(entry.id));
      // Nobody linked says nothing, as after a restart; no hosts at all have nothing to say.
      if (here.length === 0 && targets.length > 0) continue;
      const { deployment, id } = rollout.row;
      if (!here.every((entry) => this.#deps.roster.hasSettled(entry, generation, deployment)))
        continue;
      this.#guard('confirmed', this.#apply(id, { kind: 'confirmed', now: this.#deps.now() }, null));
    }
  }

  async #operate(id: string, event: RolloutEvent, actor: Actor): Promise<RolloutView> {
    return viewOf(await this.#apply(id, event, null, actor));
  }

  /** One event, in one transaction with what follows from it. */
  async #apply(
    id: string,
    event: RolloutEvent,
    summary: GateSummary | null,
    actor: Actor = 'system',
  ): Promise<StoredRollout> {
    let after: StoredRollout | null = null;
    await this.#deps.publisher.change(
      event.now,
      async (tx) => {
        const row = await findRollout(tx, id);
        if (row === null) throw new ControlError('not-found', `no rollout ${id}`);
        after = await this.#step(tx, parseRollout(row), event, actor, summary);
      },
      async (tx, _, generation) => {
        if (after !== null) after = await this.#noteGeneration(tx, after, generation);
      },
    );
    if (after === null) throw new ControlError('not-found', `no rollout ${id}`);
    this.#keep(after);
    this.settle();
    return after;
  }

  async #step(
    tx: Transaction,
    before: StoredRollout,
    event: RolloutEvent,
    actor: Actor,
    summary: GateSummary | null,
  ): Promise<StoredRollout> {
    const state = stepRollout(before.state, event);
    if (state === null) {
      // A rollback of a deployment whose rollout is already on its way back is not refused.
      if (event.kind === 'abort' && before.state.kind === 'rolling-back') return before;
      const told = `rollout ${before.row.id} is ${before.state.kind}: it can't be told "${event.kind}"`;
      throw new ControlError('conflict', told);
    }
    if (state === before.state) return before;
    const progress: Progress = {
      // The generation of what is undone says nothing of the undoing.
      generation: isEnded(state.kind) ? before.progress.generation : null,
      verdict: summary === null ? before.progress.verdict : { ...summary },
      reverted: this.#reverted(before),
    };
    const after: StoredRollout = { ...before, state, progress };
    await recordStep(tx, before, after, event, actor);
    return this.#write(tx, after, event.now);
  }

  async #noteGeneration(tx: Transaction, rollout: StoredRollout, generation: number) {
    if (rollout.progress.generation !== null || offersCandidate(rollout.state.kind)) return rollout;
    const progress = { ...rollout.progress, generation };
    return this.#write(tx, { ...rollout, progress }, rollout.row.updatedAt);
  }

  async #write(tx: Transaction, rollout: StoredRollout, now: number): Promise<StoredRollout> {
    const { state, progress } = rollout;
    const finishedAt = isEnded(state.kind) ? now : null;
    const change = { state: stateColumn(state, progress), updatedAt: now, finishedAt };
    await updateRollout(tx, rollout.row.id, change);
    return { ...rollout, row: { ...rollout.row, ...change } };
  }

  async #insert(
    tx: Transaction,
    name: string,
    request: RolloutRequest,
    actor: Actor,
    now: number,
  ): Promise<StoredRollout> {
    const deployment = await this.#deployment(tx, name);
    const running = await findLiveRollout(tx, name);
    if (running !== null) {
      const { kind } = parseRollout(running).state;
      throw new ControlError(
        'conflict',
        `rollout ${running.id} of "${name}" is ${kind}: end it first`,
      );
    }
    const { model, version: from } = deployment;
    if (request.version === from) {
      throw new ControlError('conflict', `"${name}" answers with ${model}@${from} already`);
    }
    const stable = await this.#version(tx, model, from);
    const candidate = await this.#version(tx, model, request.version);
    await forgetRefusals(tx, name, candidate.manifest);
    const id = `rol_${randomBytes(8).toString('hex')}`;
    const { canary, version: to, ...limits } = request;
    const rule =
      'agents' in canary
        ? ({ kind: 'count', agents: canary.agents } as const)
        : ({ kind: 'labels', labels: canary.labels } as const);
    const connected = this.#deps.connected();
    const targets = this.#targets(deployment).map((a) => ({
      ...a,
      connected: connected.has(a.id),
    }));
    const cohort = decideCohort(id, rule, targets, now);
    const { share } = canary;
    const plan: StoredPlan = {
      ...limits,
      stable,
      candidate,
      to: deployment.selector,
      share,
      windowMs: deployment.windowMs,
      cohort,
    };
    const state = beginRollout(now);
    const row = {
      id,
      deployment: name,
      model,
      fromVersion: from,
      toVersion: to,
      plan,
      state: stateColumn(state, NO_PROGRESS),
      createdBy: actor,
      createdAt: now,
      updatedAt: now,
      finishedAt: null,
    };
    await insertRollout(tx, row);
    const detail = { deployment: name, from, to, canary: cohort.members, share };
    await record(tx, now, actor, 'rollout.started', `rollout:${id}`, detail);
    return { row, plan, state, progress: NO_PROGRESS };
  }

  /** Points a deployment at an older version, unless ending its rollout was all that it took. */
  async #pointBack(
    tx: Transaction,
    before: DeploymentRow,
    live: StoredRollout | null,
    request: RollbackRequest,
    actor: Actor,
    now: number,
  ): Promise<{ row: DeploymentRow; from: number; to: number }> {
    const row = await this.#deployment(tx, before.name);
    const { name, model } = row;
    const from = live === null ? before.version : live.row.toVersion;
    const to = request.to ?? (live === null ? before.previousVersion : row.version);
    if (to === null) {
      throw new ControlError('conflict', `"${name}" has had no version before ${model}@${from}`);
    }
    if (to === from)
      throw new ControlError('conflict', `"${name}" answers with ${model}@${to} already`);
    const { manifest } = await this.#version(tx, model, to);
    if (to !== row.version) {
      await forgetRefusals(tx, name, manifest);
      const change = { version: to, previousVersion: row.version, updatedAt: now };
      await updateDeployment(tx, name, change);
    }
    const detail = { from, to, reason: request.reason };
    await record(tx, now, actor, 'deployment.rolled-back', `deployment:${name}`, detail);
    return { row, from, to };
  }

  async #judge(live: Live): Promise<void> {
    const { rollout } = live;
    const now = this.#deps.now();
    const { plan, row, state } = rollout;
    const size = this.#targetsOf(rollout).filter((a) => inCohort(row.id, plan.cohort, a)).length;
    const observedMs = observedForMs(state, now);
    const verdict = judge(this.#deps.evidence.evidenceOf(row.id), size, observedMs, plan);
    const summary = summarize(verdict, now - state.startedAtMs);
    if (verdict.verdict === 'fail') {
      const reason = summary.reasons.join('; ');
      await this.#apply(row.id, { kind: 'fail', now, reason }, summary);
    } else if (verdict.verdict === 'pass' && state.kind === 'canary') {
      await this.#apply(row.id, { kind: 'pass', now }, summary);
    } else if (state.kind === 'canary' && observedMs >= plan.deadlineMs) {
      const reason = `undecided after ${plan.deadlineMs / 1000} s: ${summary.reasons.join('; ')}`;
      const policy = plan.onDeadline;
      await this.#apply(row.id, { kind: 'deadline', now, policy, reason }, summary);
    } else {
      await this.#writeVerdict(live, summary, now);
    }
  }

  async #writeVerdict(live: Live, summary: GateSummary, now: number): Promise<void> {
    if (now - live.verdictWrittenAtMs < VERDICT_WRITE_MS) return;
    live.verdictWrittenAtMs = now;
    const { id } = live.rollout.row;
    const written = await this.#deps.store.write(async (tx) => {
      const row = await findRollout(tx, id);
      if (row === null || row.finishedAt !== null) return null;
      const rollout = parseRollout(row);
      const progress = { ...rollout.progress, verdict: { ...summary } };
      return this.#write(tx, { ...rollout, progress }, row.updatedAt);
    });
    if (written !== null && this.#live.get(id) === live) live.rollout = written;
  }

  #reverted(rollout: StoredRollout): Progress['reverted'] {
    const { generation } = rollout.progress;
    if (rollout.state.kind !== 'rolling-back' || generation === null) return [];
    const { plan, row } = rollout;
    return this.#targetsOf(rollout)
      .filter((entry) => inCohort(row.id, plan.cohort, entry))
      .map((entry) => {
        const afterMs = this.#deps.roster.confirmedAfterMs(entry, generation);
        return { agent: entry.id, afterMs };
      });
  }

  /** Remembers what is live and sets its next timer. */
  #keep(rollout: StoredRollout): void {
    const { id } = rollout.row;
    const known = this.#live.get(id);
    if (known?.timer) clearTimeout(known.timer);
    if (this.#closed || isEnded(rollout.state.kind)) {
      this.#live.delete(id);
      this.#deps.evidence.unfollow(id);
      return;
    }
    const live: Live = known ?? { rollout, timer: null, verdictWrittenAtMs: 0 };
    live.rollout = rollout;
    live.timer = null;
    this.#live.set(id, live);
    this.#arm(live);
  }

  #arm(live: Live): void {
    const { state, plan } = live.rollout;
    if (state.kind !== 'canary') return;
    const observed = observedForMs(state, this.#deps.now());
    const due = [plan.observeMs, plan.deadlineMs].filter((ms) => ms > observed);
    // Past its deadline already (it came while the control plane was down): look at once.
    const wait = due.length === 0 ? 0 : Math.min(...due) - observed;
    live.timer = setTimeout(() => this.#onTimer(live), Math.min(wait, MAX_TIMER_MS));
  }

  #onTimer(live: Live): void {
    this.#guard(
      'timer',
      this.#judge(live).then(() => {
        const same = this.#live.get(live.rollout.row.id) === live;
        const { state, plan } = live.rollout;
        const undecided = observedForMs(state, this.#deps.now()) < plan.deadlineMs;
        if (same && undecided) this.#arm(live);
      }),
    );
  }

  #guard(where: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#deps.onFailure(`rollout ${where}`, error));
  }

  #targets(deployment: { readonly selector: DeploymentRow['selector'] }): RosterEntry[] {
    return this.#deps.roster
      .all()
      .filter((entry) => matchesLabels(entry.labels, deployment.selector));
  }

  /** Hosts that a step of this rollout waits for. */
  #targetsOf(rollout: StoredRollout): RosterEntry[] {
    return this.#deps.roster.all().filter((entry) => matchesLabels(entry.labels, rollout.plan.to));
  }

  async #deployment(tx: Transaction, name: string): Promise<DeploymentRow> {
    const row = await findDeployment(tx, name);
    if (row === null) throw new ControlError('not-found', `no deployment "${name}"`);
    return row;
  }

  async #version(tx: Transaction, model: string, version: number) {
    const row = await findVersion(tx, model, version);
    if (row === null) throw new ControlError('not-found', `no version ${model}@${version}`);
    return { model, version, manifest: row.manifest };
  }
}
