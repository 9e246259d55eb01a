import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Hub } from '../../control-plane/http/services.ts';
import { createHub, type HubDeps } from '../../control-plane/link/hub.ts';
import { Store } from '../../control-plane/store/database.ts';
import { insertDeployment } from '../../control-plane/store/deployments.ts';
import { createJoinToken } from '../../control-plane/store/join-tokens.ts';
import { insertVersion } from '../../control-plane/store/models.ts';
import { Trust } from '../../control-plane/trust/trust.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { encodeProfile } from '../../protocol/profile.ts';
import type { SigningKey } from '../../protocol/signing.ts';
import { rootFingerprint } from '../../protocol/trust/root.ts';
import { LinkAgent } from './link-agent.ts';
import { GRIDS, seeded, syntheticWindow } from './synthetic-windows.ts';

export const WINDOW_MS = 2_000;

/** A profile of 10,000 undrifted rows; `salt` makes the bytes, and so the version, another. */
function profileBytes(salt: number): Uint8Array {
  return encodeProfile({
    rows: 10_000,
    features: [{ name: 'x', grid: GRIDS.features[0] }],
    prediction: GRIDS.prediction,
    reference: syntheticWindow(seeded(salt), { rows: 10_000 }),
  });
}

const digestOf = (bytes: Uint8Array) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function manifestOf(profile: Uint8Array): Manifest {
  return {
    schema: 1,
    model: 'mortgage',
    task: 'binary',
    files: [
      { role: 'model', digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1 },
      { role: 'profile', digest: digestOf(profile), sizeBytes: profile.length },
    ],
    inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 1] }],
    outputs: [{ name: 'score', datatype: 'FP32', shape: [-1, 1] }],
    features: [{ name: 'x', tensor: 'input', index: 0, kind: 'numeric' }],
    groups: [],
    prediction: { tensor: 'score', index: 0, kind: 'score' },
  };
}

/** A control plane without its HTTP API: hub, real socket, real database, versions 1 to 3 of one model. */
export class ControlFixture {
  readonly dir: string;
  readonly agents: LinkAgent[] = [];
  readonly manifests: string[] = [];
  readonly #artifacts = new Map<string, Uint8Array>();
  readonly #change: Partial<HubDeps>;
  store: Store;
  trust: Trust;
  key: SigningKey;
  hub: Hub;
  url: string;
  #server: Server;

  private constructor(dir: string, change: Partial<HubDeps>, started: Started) {
    this.dir = dir;
    this.#change = change;
    ({
      store: this.store,
      trust: this.trust,
      key: this.key,
      hub: this.hub,
      url: this.url,
    } = started);
    this.#server = started.server;
  }

  static async start(change: Partial<HubDeps> = {}): Promise<ControlFixture> {
    const dir = await mkdtemp(join(tmpdir(), 'driftline-hub-'));
    const artifacts = new Map<string, Uint8Array>();
    const fixture = new ControlFixture(dir, change, await begin(dir, artifacts, change));
    await fixture.#seed(artifacts);
    return fixture;
  }

  /** Cuts every link and opens the same folder again. Store and hub end in order: kill -9 is tested on real processes, in test/system. */
  async restart(between: () => Promise<void> = async () => undefined): Promise<void> {
    for (const agent of this.agents) await agent.cut();
    await this.#stop();
    await between();
    const started = await begin(this.dir, this.#artifacts, this.#change);
    ({
      store: this.store,
      trust: this.trust,
      key: this.key,
      hub: this.hub,
      url: this.url,
    } = started);
    this.#server = started.server;
  }

  async stop(): Promise<void> {
    await this.#stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  async token(labels = {}, ttlMs = 60_000): Promise<string> {
    const fingerprint = await rootFingerprint(this.trust.chain[this.trust.chain.length - 1]);
    const now = Date.now();
    const request = { labels, createdBy: 'test', expiresAt: now + ttlMs, fingerprint };
    return (await this.store.write((tx) => createJoinToken(tx, request, now))).text;
  }

  async agent(name = `host-${this.agents.length}`): Promise<LinkAgent> {
    const agent = await LinkAgent.create();
    this.agents.push(agent);
    return agent.join(this.url, await this.token(), name);
  }

  async #seed(artifacts: Map<string, Uint8Array>): Promise<void> {
    for (const salt of [1, 2, 3]) {
      const profile = profileBytes(salt);
      const document = manifestOf(profile);
      const manifest = digestOf(new TextEncoder().encode(JSON.stringify(document)));
      artifacts.set(digestOf(profile), profile);
      this.#artifacts.set(digestOf(profile), profile);
      this.manifests.push(manifest);
      const { row } = await this.store.write((tx) =>
        insertVersion(tx, manifest, document, 'test', 0),
      );
      await this.trust.pushed(row, 0);
    }
    await this.store.write((tx) =>
      insertDeployment(tx, {
        name: 'loans',
        model: 'mortgage',
        version: 1,
        previousVersion: null,
        selector: {},
        windowMs: WINDOW_MS,
        // A test has no twenty windows to learn from.
        monitoring: { learningWindows: 0 },
        createdAt: 0,
        updatedAt: 0,
      }),
    );
  }

  async #stop(): Promise<void> {
    await this.hub.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.store.close();
  }
}

interface Started {
  readonly store: Store;
  readonly trust: Trust;
  readonly key: SigningKey;
  readonly hub: Hub;
  readonly url: string;
  readonly server: Server;
}

async function begin(
  dir: string,
  artifacts: ReadonlyMap<string, Uint8Array>,
  change: Partial<HubDeps>,
): Promise<Started> {
  const store = await Store.open(dir);
  const trust = await Trust.open(store, dir, Date.now());
  const key = trust.online;
  const readArtifact = async (digest: string) => {
    const bytes = artifacts.get(digest);
    if (bytes === undefined) throw new Error(`no artifact ${digest}`);
    return bytes;
  };
  const hub = await createHub({
    store,
    trust,
    readArtifact,
    log: pino({ level: 'silent' }),
    ...change,
  });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    hub.handleUpgrade(request, socket, head as Buffer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { store, trust, key, hub, url: `ws://127.0.0.1:${port}/link`, server };
}
