import { AgentError, messageOf } from '../../../error.ts';
import type { Session, Tensor, WorkerSessionOptions } from '../runtime.ts';
import { WorkerLane } from './worker-lane.ts';

/** Threads that may die in the life of a session before it fails: one that dies of a model dies of it again. */
export const MAX_REPLACEMENTS = 3;

/**
 * A session in each of so many worker threads. Calls beyond the idle ones wait in the order in which they came. A thread
 * that dies fails its own call and is replaced, `MAX_REPLACEMENTS` times; after that calls fail and name the cause.
 * (A native crash is not such a death: it ends the process.) Throws `AgentError` 'engine' where a thread can't open.
 */
export async function openOnWorkers(
  modelPath: string,
  options: WorkerSessionOptions,
): Promise<Session> {
  const { workers, ...each } = options;
  const open = (countNodes: boolean) => WorkerLane.open(modelPath, { ...each, countNodes });
  // One thread counts for all: their sessions are opened alike.
  const opening = Array.from({ length: workers }, (_, at) =>
    open(at === 0 && options.countNodes === true),
  );
  const settled = await Promise.allSettled(opening);
  const lanes = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(lanes.map((lane) => lane.close()));
    throw failed.reason;
  }
  const pool = new LanePool(lanes, () => open(false));
  const [first] = lanes;
  return {
    provider: options.provider,
    lanes: workers,
    run: (inputs) => pool.run(inputs),
    longestCallMs: () => pool.longestCallMs,
    ...(options.countNodes ? { nodes: () => first.nodes() } : {}),
    release: () => pool.close(),
  };
}

interface Call {
  readonly inputs: ReadonlyMap<string, Tensor>;
  resolve(outputs: Map<string, Tensor>): void;
  reject(error: unknown): void;
}

class LanePool {
  readonly #open: () => Promise<WorkerLane>;
  /** Every lane whose thread lives. */
  readonly #lanes = new Set<WorkerLane>();
  readonly #idle: WorkerLane[] = [];
  readonly #waiting: Call[] = [];
  readonly #replacing = new Set<Promise<void>>();
  #replacements = 0;
  #closed = false;
  #whyDead = 'the session has been released';

  constructor(lanes: readonly WorkerLane[], open: () => Promise<WorkerLane>) {
    this.#open = open;
    for (const lane of lanes) this.#add(lane);
  }

  run(inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ inputs, resolve, reject });
      this.#next();
    });
  }

  get longestCallMs(): number {
    let longest = 0;
    for (const { busyMs } of this.#lanes) longest = Math.max(longest, busyMs);
    return longest;
  }

  /** Resolves when every thread has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#failWaiting();
    await Promise.all(this.#replacing);
    await Promise.all([...this.#lanes].map((lane) => lane.close()));
  }

  #add(lane: WorkerLane): void {
    this.#lanes.add(lane);
    this.#idle.push(lane);
    void lane.ended.then(() => this.#died(lane));
    this.#next();
  }

  #next(): void {
    if (this.#closed || (this.#lanes.size === 0 && this.#replacing.size === 0)) {
      this.#failWaiting();
      return;
    }
    while (this.#idle.length > 0) {
      const call = this.#waiting.shift();
      if (call === undefined) return;
      void this.#call(this.#idle.shift() as WorkerLane, call);
    }
  }

  async #call(lane: WorkerLane, call: Call): Promise<void> {
    try {
      call.resolve(await lane.run(call.inputs));
    } catch (error) {
      call.reject(error);
    }
    if (this.#lanes.has(lane)) this.#idle.push(lane);
    this.#next();
  }

  #died(lane: WorkerLane): void {
    this.#lanes.delete(lane);
    const at = this.#idle.indexOf(lane);
    if (at >= 0) this.#idle.splice(at, 1);
    if (this.#closed) return;
    this.#whyDead = lane.death;
    if (this.#replacements < MAX_REPLACEMENTS) {
      this.#replacements += 1;
      const replacing = this.#replace().finally(() => {
        this.#replacing.delete(replacing);
        this.#next();
      });
      this.#replacing.add(replacing);
    }
    this.#next();
  }

  async #replace(): Promise<void> {
    try {
      this.#add(await this.#open());
    } catch (error) {
      this.#whyDead = messageOf(error);
    }
  }

  #failWaiting(): void {
    for (const { reject } of this.#waiting.splice(0))
      reject(new AgentError('engine', this.#whyDead));
  }
}
