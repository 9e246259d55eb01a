import { join } from 'node:path';
import { realDisk } from '../store/disk.ts';
import type { SimulationConfig } from './config.ts';
import type { ControlApi } from './control-api.ts';
import { fewFiles } from './few-files.ts';
import { LateChecks } from './late-checks.ts';
import { seededRandom } from './random.ts';
import { Versions } from './versions.ts';
import { VirtualAgent } from './virtual-agent.ts';

/** Join tokens that are asked for at once: more would only queue at the control plane's one writer. */
const TOKENS_AT_ONCE = 16;

/** Agents whose keys and folders are made at once. */
const STARTED_AT_ONCE = 32;

/** All virtual agents of one run. */
export class SimulatedFleet {
  readonly agents: readonly VirtualAgent[];
  /** What agents could not do, by what was said, and how often. */
  readonly failures = new Map<string, number>();
  readonly #checks: LateChecks;
  readonly #random: () => number;
  #awaited: { generation: number; startMs: number; afterMs: Map<number, number> } | null = null;
  #crashes: NodeJS.Timeout | null = null;
  #crashing: Promise<unknown> = Promise.resolve();

  private constructor(
    agents: (fleet: SimulatedFleet) => VirtualAgent[],
    checks: LateChecks,
    random: () => number,
  ) {
    this.#checks = checks;
    this.#random = random;
    this.agents = agents(this);
  }

  /** Asks for a join token for each agent. */
  static async create(
    config: SimulationConfig,
    api: ControlApi,
    folder: string,
    label: string,
    onToken: () => void,
  ): Promise<SimulatedFleet> {
    const { controlUrl, faults, seed, rows } = config;
    const labels = { simulation: label };
    const tokens: string[] = [];
    while (tokens.length < config.agents) {
      const count = Math.min(TOKENS_AT_ONCE, config.agents - tokens.length);
      const more = Array.from({ length: count }, () => api.joinToken(labels));
      tokens.push(...(await Promise.all(more)));
      onToken();
    }
    const versions = new Versions(api, rows, seededRandom(seed));
    const checks = new LateChecks();
    const disk = fewFiles(realDisk);
    const make = (fleet: SimulatedFleet) =>
      tokens.map(
        (joinToken, at) =>
          new VirtualAgent({
            ...{ controlUrl, faults, versions, checks, disk, labels: {}, joinToken },
            folder: join(folder, String(at)),
            name: `sim-${label}-${at}`,
            random: seededRandom(seed + 1 + at),
            onTold: () => fleet.#toldAt(at),
            onServing: (generation) => fleet.#serving(at, generation),
            onFailure: (reason) => fleet.#failed(reason),
          }),
      );
    return new SimulatedFleet(make, checks, seededRandom(seed - 1));
  }

  async start(): Promise<void> {
    const waiting = [...this.agents];
    const next = async () => {
      for (let agent = waiting.pop(); agent !== undefined; agent = waiting.pop()) {
        await agent.start();
      }
    };
    await Promise.all(Array.from({ length: STARTED_AT_ONCE }, next));
  }

  get online(): number {
    return this.agents.reduce((sum, agent) => sum + Number(agent.online), 0);
  }

  get produced(): number {
    return this.agents.reduce((sum, agent) => sum + agent.produced, 0);
  }

  get pending(): number {
    return this.agents.reduce((sum, agent) => sum + agent.pending, 0);
  }

  get lost(): number {
    return this.agents.reduce((sum, agent) => sum + agent.lost, 0);
  }

  get deployments(): readonly string[] {
    return [...new Set(this.agents.flatMap((agent) => agent.deployments))];
  }

  /** Lets so large a share of the agents die and come back in a minute. */
  crashEveryMinute(share: number): void {
    if (share === 0) return;
    const everyMs = 60_000 / (share * this.agents.length);
    this.#crashes = setInterval(() => {
      const victim = this.agents[Math.floor(this.#random() * this.agents.length)];
      this.#crashing = this.#crashing
        .then(() => victim.crash())
        .catch((error: unknown) => this.#failed(String(error)));
    }, everyMs);
  }

  /**
   * From now on, how long each agent takes until it has said that it serves what is asked for by `ask`. Documents are parsed
   * and verified when all have said so.
   */
  async measure(
    ask: () => Promise<number>,
    waitMs: number,
  ): Promise<{
    readonly generation: number;
    readonly afterMs: readonly number[];
    readonly toldMs: readonly number[];
    readonly verifiedLate: number;
  }> {
    const awaited = {
      generation: Number.POSITIVE_INFINITY,
      startMs: performance.now(),
      afterMs: new Map<number, number>(),
    };
    const early: [number, number, number][] = [];
    this.#checks.hold();
    this.#awaited = awaited;
    this.#told = new Map();
    this.#early = early;
    awaited.generation = await ask();
    for (const [at, generation, afterMs] of early) this.#note(awaited, at, generation, afterMs);
    const until = performance.now() + waitMs;
    while (awaited.afterMs.size < this.agents.length && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#awaited = null;
    const verifiedLate = await this.#checks.release();
    const ascending = (times: Map<number, number>) => [...times.values()].sort((a, b) => a - b);
    return {
      generation: awaited.generation,
      afterMs: ascending(awaited.afterMs),
      toldMs: ascending(this.#told),
      verifiedLate,
    };
  }

  /** When the first document after the question came to each agent. */
  #told = new Map<number, number>();

  #toldAt(at: number): void {
    if (this.#awaited === null || this.#told.has(at)) return;
    this.#told.set(at, performance.now() - this.#awaited.startMs);
  }

  /** Said before the answer to the question was there. */
  #early: [number, number, number][] = [];

  #serving(at: number, generation: number): void {
    if (this.#awaited === null) return;
    const afterMs = performance.now() - this.#awaited.startMs;
    if (this.#awaited.generation === Number.POSITIVE_INFINITY) {
      this.#early.push([at, generation, afterMs]);
    } else this.#note(this.#awaited, at, generation, afterMs);
  }

  #note(
    awaited: { readonly generation: number; readonly afterMs: Map<number, number> },
    at: number,
    generation: number,
    afterMs: number,
  ): void {
    // Each agent has a generation of its own; those of one change are the last ones up to the newest.
    const isOfThisChange = generation > awaited.generation - this.agents.length - 1;
    if (isOfThisChange && !awaited.afterMs.has(at)) awaited.afterMs.set(at, afterMs);
  }

  async stopTraffic(): Promise<void> {
    if (this.#crashes !== null) clearInterval(this.#crashes);
    await this.#crashing;
    for (const agent of this.agents) agent.stopTraffic();
  }

  async stop(): Promise<void> {
    await this.stopTraffic();
    const ends = await Promise.allSettled(this.agents.map((agent) => agent.stop()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  #failed(reason: string): void {
    // Digests and ids differ from agent to agent; what went wrong does not.
    const kind = reason.replace(/[0-9a-f]{16,}/g, '…').slice(0, 200);
    if (this.failures.size < 100 || this.failures.has(kind)) {
      this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
    }
  }
}
