import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import type { AgentConfig } from '../../../agent/config.ts';
import { LogTail } from '../../../agent/log-tail.ts';
import { DEFAULT_BOUNDS } from '../../../agent/store/download-limits.ts';
import { DEFAULT_ROOM } from '../../../agent/store/room.ts';
import { Supervisor } from '../../../agent/supervisor.ts';
import { sealDesired } from '../../../control-plane/rollout/sign-batch.ts';
import type { DesiredMessage, DesiredState } from '../../../protocol/desired.ts';
import type { ReportMessage } from '../../../protocol/report.ts';
import type { SigningKey } from '../../../protocol/signing.ts';
import type { EventMessage } from '../../../protocol/telemetry.ts';
import { rootFingerprint } from '../../../protocol/trust/root.ts';
import type { Signed } from '../../../protocol/trust/signed.ts';
import type { UpMessage } from '../../../protocol/up.ts';
import { temporaryFolder } from '../../support/mortgage.ts';
import { type Keys, newKeys, signRelease } from '../../support/roots.ts';
import { slowRequest, writeSlowModel } from '../../support/slow-model.ts';
import { AGENT, ControlEnd, WELCOME } from '../link/control-end.ts';

/** A version as an attacker would have it run, and its files. */
export interface Version {
  readonly model: string;
  readonly version: number;
  readonly manifest: string;
  readonly files: readonly string[];
}

export interface Draft {
  readonly generation: number;
  readonly versions: Readonly<Record<string, Version>>;
  readonly releases?: readonly Signed[];
  readonly key?: SigningKey;
  readonly change?: Partial<DesiredState>;
}

/**
 * A real supervisor with a real engine, and on the other side of a real WebSocket and HTTP server whoever the test lets
 * be there: with the keys that the attack assumes, and no others. It has joined and serves version 1 as "loans".
 */
export class AttackedHost {
  readonly keys: Keys;
  control: ControlEnd;
  readonly good: Version;
  /** Artifacts as they are served, by digest; and which were asked for. */
  readonly artifacts: Map<string, Buffer>;
  readonly asked: string[] = [];
  /** Answers a download in place of the files above. */
  onDownload: ((digest: string, response: ServerResponse) => void) | null = null;
  readonly folder: string;
  readonly #server: Server;
  readonly #remove: () => Promise<void>;
  #supervisor: Supervisor | null = null;
  #url = '';
  readonly #config: (change: Partial<AgentConfig>) => AgentConfig;
  readonly #joined: Partial<AgentConfig>;

  private constructor(parts: {
    keys: Keys;
    control: ControlEnd;
    server: Server;
    folder: { path: string; remove(): Promise<void> };
    artifacts: Map<string, Buffer>;
    good: Version;
    config: (change: Partial<AgentConfig>) => AgentConfig;
    change: Partial<AgentConfig>;
  }) {
    this.keys = parts.keys;
    this.control = parts.control;
    this.#server = parts.server;
    this.folder = parts.folder.path;
    this.#remove = parts.folder.remove;
    this.artifacts = parts.artifacts;
    this.good = parts.good;
    this.#config = parts.config;
    this.#joined = parts.change;
  }

  static async start(change: Partial<AgentConfig> = {}): Promise<AttackedHost> {
    const folder = await temporaryFolder();
    const keys = await newKeys();
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const control = await ControlEnd.listen(keys, server);
    const artifacts = new Map<string, Buffer>();
    const good = await writeVersion(folder.path, artifacts, 'loans', 1);
    const pin = (await rootFingerprint(control.roots[0])).slice(0, 32);
    const config = (more: Partial<AgentConfig>): AgentConfig => ({
      controlUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      joinToken: `dlj_${'0'.repeat(8)}_${'1'.repeat(64)}_${pin}`,
      dataFolder: join(folder.path, 'agent'),
      ...{ ca: null, name: 'edge', labels: {}, host: '127.0.0.1', port: 0, grpcPort: null },
      ...{ metricsPort: null, repositoryControl: false, featureServers: new Map(), traces: null },
      ...{
        hangTimeoutMs: null,
        devicePrice: null,
        engines: 1,
        cores: 1,
        maxBodyBytes: 1 << 20,
        artifacts: { ...DEFAULT_ROOM, ...DEFAULT_BOUNDS },
        logLevel: 'silent',
      },
      ...more,
    });
    const host = new AttackedHost({
      ...{ keys, control, server, folder, artifacts, good, config, change },
    });
    server.on('request', (req, res) => host.#download(req, res));
    await host.boot();
    await host.join();
    await host.say({ generation: 1, versions: { loans: good } }, [await host.release(good)]);
    await host.reports((report) => report.applied === 1);
    host.forget();
    return host;
  }

  get url(): string {
    return this.#url;
  }

  /** Starts the agent, after `halt` from what is on its disk alone. */
  async boot(): Promise<void> {
    const program = {
      ...{ path: resolve(import.meta.dirname, '../../../dist/agent/main.js'), argv: [] },
      ...{ execArgv: [], env: process.env },
    };
    const config = this.#config(this.#joined);
    this.#supervisor = await Supervisor.create(config, program, pino({ level: 'silent' }), {
      version: '0',
      tail: new LogTail(),
    });
    this.#url = (await this.#supervisor.start()).url;
  }

  async halt(): Promise<void> {
    await this.#supervisor?.stop();
    this.#supervisor = null;
  }

  /** Through challenge and hello to a welcome that `key` signs, on the next link. */
  async join(key = this.keys.online, serverTimeMs = WELCOME.serverTimeMs): Promise<void> {
    const links = this.control.heard.filter(({ kind }) => kind === 'hello').length + 1;
    await this.control.until(() => this.control.connections >= links);
    this.control.challenge(key.publicKey);
    await this.control.heardOf('hello', links);
    await this.control.answer({ ...WELCOME, serverTimeMs }, key);
  }

  release(version: Version, more = {}, keys = [this.keys.release]): Promise<Signed> {
    const { model, version: number, manifest } = version;
    return signRelease(keys, { model, version: number, manifest, ...more });
  }

  version(model: string, version: number): Promise<Version> {
    return writeVersion(this.folder, this.artifacts, model, version);
  }

  document({ generation, versions, change = {} }: Draft): Uint8Array {
    const state: DesiredState = {
      ...{ agent: AGENT, generation, issuedAt: 0, expiresAt: Date.now() + 3_600_000 },
      deployments: Object.entries(versions).map(([name, { model, version, manifest }]) => ({
        ...{ name, windowMs: 60_000, serving: {}, monitoring: {} },
        arms: [{ arm: 'stable', model, version, manifest, share: 1 }],
      })),
      ...change,
    };
    return new TextEncoder().encode(JSON.stringify(state));
  }

  async message(draft: Draft, releases: readonly Signed[] = []): Promise<DesiredMessage> {
    const key = draft.key ?? this.keys.online;
    const [envelope] = await sealDesired(key, [this.document(draft)]);
    return { kind: 'desired', envelope, releases: [...releases] };
  }

  async say(draft: Draft, releases: readonly Signed[] = []): Promise<void> {
    this.control.say(await this.message(draft, releases));
  }

  /** Waits for a report of which `holds` is true, at the end or somewhere after `from` messages. */
  async reports(holds: (report: ReportMessage) => boolean): Promise<ReportMessage> {
    return this.#heard(
      (message): message is ReportMessage => message.kind === 'report' && holds(message),
    );
  }

  async event(name: EventMessage['name']): Promise<EventMessage> {
    return this.#heard(
      (message): message is EventMessage => message.kind === 'event' && message.name === name,
    );
  }

  /** What the agent said first since the last `forget` that is of this kind. */
  async #heard<T extends UpMessage>(is: (message: UpMessage) => message is T): Promise<T> {
    await this.control.until(() => this.control.heard.slice(this.#from).some(is));
    return this.control.heard.slice(this.#from).find(is) as T;
  }

  #from = 0;

  /** From now on only what is said from now on counts. */
  forget(): void {
    this.#from = this.control.heard.length;
    this.asked.length = 0;
  }

  /** Which version answers as a deployment; the status where none does. */
  async answering(deployment = 'loans'): Promise<number> {
    const { headers, body } = slowRequest(1);
    const options = { method: 'POST', headers, agent: false };
    const req = request(`${this.#url}/v2/models/${deployment}/infer`, options);
    req.end(body);
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of res) text += chunk;
    return res.statusCode === 200
      ? Number(/"model_version":"(\d+)"/.exec(text)?.[1])
      : (res.statusCode ?? 0);
  }

  /** Names of files under the agent's folder that contain `part`. */
  async files(part: string): Promise<string[]> {
    const all = await readdir(join(this.folder, 'agent'), { recursive: true });
    return all.filter((name) => name.includes(part));
  }

  #download(req: IncomingMessage, res: ServerResponse): void {
    const digest = req.url?.split('/').at(-1) ?? '';
    this.asked.push(digest);
    if (this.onDownload !== null) {
      this.onDownload(digest, res);
      return;
    }
    const bytes = this.artifacts.get(digest);
    res.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  }

  async stop(): Promise<void> {
    await this.halt();
    await this.control.close();
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
    await this.#remove();
  }
}

async function writeVersion(
  folder: string,
  artifacts: Map<string, Buffer>,
  model: string,
  version: number,
): Promise<Version> {
  await mkdir(join(folder, 'made'), { recursive: true });
  const files = await writeSlowModel(join(folder, 'made'), model, version);
  const bytes = [await readFile(files.manifestPath), await readFile(files.modelPath)];
  for (const each of bytes) artifacts.set(digestOf(each), each);
  return { model, version, manifest: files.manifest, files: bytes.map(digestOf) };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
