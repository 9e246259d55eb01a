import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Faults } from '../../../agent/simulate/config.ts';
import { findDesired } from '../../../control-plane/store/desired.ts';
import { windowsBetween } from '../../../control-plane/store/telemetry.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { CuttableLine } from '../../support/cuttable-line.ts';
import { LinkedHost } from '../../support/linked-host.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

/**
 * A control plane and two hosts with the code that runs in production, and between them a wire that loses, repeats and
 * swaps frames, on schedules that nobody thought of. The model is what must be true whatever happens.
 */
const RUNS = 12;
const HOSTS = 2;
const BAD: Faults = {
  ...{ drop: 0.05, duplicate: 0.1, reorder: 0.1, delayMs: 1, skewMs: 0, crashes: 0 },
};
const GOOD: Faults = { ...BAD, drop: 0, duplicate: 0, reorder: 0, delayMs: 0 };

interface Real {
  readonly control: ControlFixture;
  readonly hosts: readonly LinkedHost[];
  /** Documents that a host had got when it was told that it is revoked. */
  readonly documentsAtRevocation: Map<number, number>;
  windows: number;
}
/** All that is assumed: who is revoked. */
interface Model {
  readonly revoked: Set<number>;
}
type Command = fc.AsyncCommand<Model, Real>;

const anyHost = fc.nat(HOSTS - 1);

class Produce implements Command {
  readonly host: number;
  readonly count: number;
  constructor(host: number, count: number) {
    this.host = host;
    this.count = count;
  }
  check = () => true;
  async run(_: Model, real: Real): Promise<void> {
    const latest = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - WINDOW_MS;
    for (let at = 0; at < this.count; at += 1) {
      real.windows += 1;
      const window = syntheticWindow(seeded(real.windows), { rows: 3 });
      const place = {
        deployment: 'loans',
        manifest: real.control.manifests[0],
        arm: 'stable' as const,
      };
      // Some begin together and are added up in one row.
      const windowStartMs = latest - (real.windows % 20) * WINDOW_MS;
      await real.hosts[this.host].produce({ ...place, windowStartMs, windowMs: WINDOW_MS }, window);
    }
  }
  toString = () => `host ${this.host} makes ${this.count} windows`;
}

class CutLine implements Command {
  readonly host: number;
  constructor(host: number) {
    this.host = host;
  }
  check = () => true;
  async run(_: Model, { hosts }: Real): Promise<void> {
    hosts[this.host].cutLine();
  }
  toString = () => `the line of host ${this.host} is cut`;
}

class Crash implements Command {
  readonly host: number;
  constructor(host: number) {
    this.host = host;
  }
  check = () => true;
  run = (_: Model, { hosts }: Real) => hosts[this.host].crash();
  toString = () => `host ${this.host} crashes`;
}

class Wait implements Command {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
  check = () => true;
  async run(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.ms));
  }
  toString = () => `${this.ms} ms pass`;
}

class RestartControl implements Command {
  check = () => true;
  run = (_: Model, { control }: Real) => control.restart();
  toString = () => 'the control plane restarts';
}

class Serve implements Command {
  readonly version: number;
  constructor(version: number) {
    this.version = version;
  }
  check = () => true;
  async run(_: Model, { control }: Real): Promise<void> {
    const request = { to: this.version, reason: 'the model says so' };
    // It may be there already, or have been taken back before.
    await control.hub.rollouts.rollback('loans', request, 'token:ops').catch(() => undefined);
  }
  toString = () => `version ${this.version} is wanted`;
}

class Revoke implements Command {
  readonly host: number;
  constructor(host: number) {
    this.host = host;
  }
  check = ({ revoked }: Readonly<Model>) => !revoked.has(this.host);
  async run(model: Model, { control, hosts, documentsAtRevocation }: Real): Promise<void> {
    const host = hosts[this.host];
    if (host.id === null) return;
    await control.hub.agents.revoke(host.id, 'the model says so', 'token:ops');
    model.revoked.add(this.host);
    // What was on the wire before may still come in, also to a host that knows itself linked only behind it.
    await until(() => host.isRevoked);
    documentsAtRevocation.set(this.host, host.documents);
  }
  toString = () => `host ${this.host} is revoked`;
}

const anyCommands = fc.commands(
  [
    fc.tuple(anyHost, fc.integer({ min: 1, max: 8 })).map((args) => new Produce(...args)),
    fc.tuple(anyHost, fc.integer({ min: 1, max: 8 })).map((args) => new Produce(...args)),
    fc.integer({ min: 1, max: 60 }).map((ms) => new Wait(ms)),
    anyHost.map((host) => new CutLine(host)),
    anyHost.map((host) => new Crash(host)),
    fc.integer({ min: 1, max: 3 }).map((version) => new Serve(version)),
    fc.constant(new RestartControl()),
    fc.constant(1).map((host) => new Revoke(host)),
  ],
  { maxCommands: 30, size: 'max' },
);

async function until(holds: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error('it never came to rest');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function mergedOf(control: ControlFixture, agent: string): Promise<number> {
  const rows = await windowsBetween(control.store.read, 'loans', 0, Number.MAX_SAFE_INTEGER);
  return rows.filter((row) => row.agentId === agent).reduce((sum, { parts }) => sum + parts, 0);
}

it('counts every window once, goes back to no generation, and tells a revoked host nothing, on any schedule', async () => {
  await fc.assert(
    fc.asyncProperty(anyCommands, fc.nat(), async (commands, seed) => {
      const control = await ControlFixture.start();
      // The address that hosts know; the control plane behind it may be another after a restart.
      const line = await CuttableLine.to(() => Number(new URL(control.url).port));
      const random = seeded(seed);
      let faults = BAD;
      const hosts = await Promise.all(
        Array.from({ length: HOSTS }, async () =>
          LinkedHost.start({
            token: await control.token(),
            url: () => line.url,
            faults: () => faults,
            random,
          }),
        ),
      );
      try {
        await until(() => hosts.every(({ online }) => online));
        const model: Model = { revoked: new Set() };
        const real: Real = { control, hosts, documentsAtRevocation: new Map(), windows: 0 };
        await fc.asyncModelRun(() => ({ model, real }), commands);

        faults = GOOD;
        const standing = hosts.filter((_, at) => !model.revoked.has(at));
        for (const host of standing) host.cutLine();
        await until(() => standing.every(({ online, pending }) => online && pending === 0));
        // Whatever was decided while they linked, each has the newest document.
        for (const host of standing) {
          const wanted = await findDesired(control.store.read, String(host.id));
          await until(() => host.generation === wanted?.generation);
        }
        for (const [at, host] of hosts.entries()) {
          const merged = await mergedOf(control, String(host.id));
          if (model.revoked.has(at)) expect(merged).toBeLessThanOrEqual(host.produced);
          else expect(merged, `host ${at}`).toBe(host.produced);
          expect(host.generations).toEqual([...host.generations].sort((a, b) => a - b));
        }
        for (const [at, documents] of real.documentsAtRevocation) {
          expect(hosts[at].documents).toBe(documents);
        }
      } finally {
        await Promise.all(hosts.map((host) => host.stop()));
        await line.close();
        await control.stop();
      }
    }),
    { numRuns: RUNS },
  );
}, 120_000);
