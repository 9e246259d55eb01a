import type { AgentId } from '../../protocol/ids.ts';
import type { Actor } from '../audit/record.ts';
import type { ArmEvidence } from '../decide/compare-arms.ts';
import { ControlError } from '../error.ts';
import type {
  RollbackRequest,
  RollbackResult,
  RolloutRequest,
  Rollouts,
  RolloutView,
} from '../http/services.ts';
import { goesTo, type Target } from '../residency/residency.ts';
import type { Store } from '../store/database.ts';
import { targetOf } from '../store/deployments.ts';
import { findLiveRollout, findRollout, liveRollouts } from '../store/rollouts.ts';
import { inCohort } from './cohort.ts';
import { judge } from './gate.ts';
import type { Publisher } from './publisher.ts';
import { isEnded, observedForMs, offersCandidate, type RolloutEvent } from './rollout-state.ts';
import type { Roster, RosterEntry } from './roster.ts';
import {
  deploymentOf,
  noteGeneration,
  noteVerdict,
  openRollout,
  pointBack,
  type StepContext,
  takeStep,
} from './steps.ts';
import { type Progress, parseRollout, type StoredRollout, viewOf } from './stored-rollout.ts';
import { type GateSummary, summarize } from './summary.ts';

/** setTimeout takes no more; a longer wait is waited for in parts. */
const RETRY_JUDGE_MS = 1000;
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
    const connected = this.#deps.connected();
    // A canary that is out of traffic would show nothing.
    const fleet = this.#deps.roster
      .all()
      .map((entry) => ({ ...entry, connected: connected.has(entry.id) && !entry.draining }));
    const { result } = await this.#deps.publisher.change(now, (tx) =>
      openRollout(tx, deployment, request, fleet, actor, now),
    );
    await this.#deps.evidence.follow(result);
    this.#keep(result);
    // A host may have answered already.
    this.onReport();
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
        const deployment = await deploymentOf(tx, name);
        const live = await findLiveRollout(tx, name);
        const before = live === null ? null : parseRollout(live);
        const abort = { kind: 'abort', now, reason: request.reason } as const;
        stepped = before && (await takeStep(tx, before, abort, this.#context(actor, null)));
        return pointBack(tx, deployment, before, request, actor, now);
      },
      async (tx, _, given) => {
        if (stepped !== null) stepped = await noteGeneration(tx, stepped, given);
      },
    );
    if (stepped !== null) this.#keep(stepped);
    this.settle();
    const connected = this.#deps.connected();
    const agents = this.#matching(targetOf(result.deployment)).map(({ id, name: called }) => ({
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
  onReport(): void {
    this.#lookForRefusals();
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

  #lookForRefusals(): void {
    for (const { rollout } of this.#live.values()) {
      const { row, plan, state } = rollout;
      if (!offersCandidate(state.kind)) continue;
      for (const entry of this.#targetsOf(rollout)) {
        // A report from before the offer speaks of an earlier one.
        const answered = entry.observed >= this.#deps.publisher.inForce(entry.id).generation;
        if (!answered || !inCohort(row.id, plan.cohort, entry)) continue;
        const refusal = entry.refusals.find(
          (one) => one.deployment === row.deployment && one.manifest === plan.candidate.manifest,
        );
        if (refusal === undefined) continue;
        const reason = `agent ${entry.id} refused the candidate: ${refusal.reason}`;
        const nack = { kind: 'nack', now: this.#deps.now(), reason } as const;
        this.#guard('nack', this.#apply(row.id, nack, null));
      }
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
        after = await takeStep(tx, parseRollout(row), event, this.#context(actor, summary));
      },
      async (tx, _, generation) => {
        if (after !== null) after = await noteGeneration(tx, after, generation);
      },
    );
    if (after === null) throw new ControlError('not-found', `no rollout ${id}`);
    this.#keep(after);
    this.settle();
    return after;
  }

  #context(actor: Actor, summary: GateSummary | null): StepContext {
    return { actor, summary, reverted: (rollout) => this.#reverted(rollout) };
  }

  /** How long the candidate had been observed when this was decided. */
  async #judge(live: Live): Promise<number> {
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
    return observedMs;
  }

  async #writeVerdict(live: Live, summary: GateSummary, now: number): Promise<void> {
    if (now - live.verdictWrittenAtMs < VERDICT_WRITE_MS) return;
    live.verdictWrittenAtMs = now;
    const { id } = live.rollout.row;
    const written = await this.#deps.store.write((tx) => noteVerdict(tx, id, summary));
    if (written !== null && this.#live.get(id) === live) live.rollout = written;
  }

  #reverted(rollout: StoredRollout): Progress['reverted'] {
    const { generation } = rollout.progress;
    if (rollout.state.kind !== 'rolling-back' || generation === null) return [];
    const { plan, row } = rollout;
    return this.#targetsOf(rollout)
      .filter((entry) => inCohort(row.id, plan.cohort, entry))
      .map((entry) => {
        const afterMs = this.#deps.roster.confirmedAfterMs(entry, generation, row.deployment);
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
    const wait = observed >= plan.deadlineMs ? 0 : Math.min(...due) - observed;
    live.timer = setTimeout(() => this.#onTimer(live), Math.min(wait, MAX_TIMER_MS));
  }

  #onTimer(live: Live): void {
    const isLive = () => this.#live.get(live.rollout.row.id) === live;
    const judged = this.#judge(live).then(
      (observedMs) => {
        // By the time of the look, not by now: a timer may fire a millisecond before the deadline, and end after it.
        const wasEarly = observedMs < live.rollout.plan.deadlineMs;
        if (isLive() && wasEarly) this.#arm(live);
      },
      (error: unknown) => {
        // Without traffic nothing but this timer would ever bring the rollout to its deadline.
        if (isLive()) live.timer = setTimeout(() => this.#onTimer(live), RETRY_JUDGE_MS);
        throw error;
      },
    );
    this.#guard('timer', judged);
  }

  #guard(where: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#deps.onFailure(`rollout ${where}`, error));
  }

  #matching(target: Target): RosterEntry[] {
    return this.#deps.roster.all().filter((entry) => goesTo(target, entry));
  }

  /** Hosts that the rollout's deployment goes to. */
  #targetsOf(rollout: StoredRollout): RosterEntry[] {
    return this.#matching(rollout.plan);
  }
}
