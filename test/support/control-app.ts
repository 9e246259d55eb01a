import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Api } from '../../control-plane/http/api.ts';
import { createApp } from '../../control-plane/http/app.ts';
import type { Hub } from '../../control-plane/http/services.ts';
import { createHub } from '../../control-plane/link/hub.ts';
import { type Notify, startNotify } from '../../control-plane/notify/desk.ts';
import { Blobs } from '../../control-plane/store/blobs.ts';
import { Store } from '../../control-plane/store/database.ts';
import { createToken, type Role } from '../../control-plane/store/tokens.ts';
import { Trust } from '../../control-plane/trust/trust.ts';
import type { Digest } from '../../protocol/ids.ts';
import { type Manifest, manifestDraftSchema } from '../../protocol/manifest.ts';
import { readModelInfo } from '../../protocol/onnx/model-info.ts';
import type { SigningKey } from '../../protocol/signing.ts';

const EXAMPLE = new URL('../../control-plane/examples/mortgage/', import.meta.url);

export interface Ask {
  readonly as?: Role | null;
  /** A bearer token as it is, in place of a role's. */
  readonly bearer?: string;
  readonly json?: unknown;
  readonly body?: Uint8Array | string;
  readonly headers?: Record<string, string>;
}

/** A whole control plane without its socket: real database, blobs, hub and routes, in a new folder. */
export class ControlApp {
  readonly dir: string;
  readonly store: Store;
  readonly blobs: Blobs;
  readonly key: SigningKey;
  readonly hub: Hub;
  readonly notify: Notify;
  readonly api: Api;
  readonly tokens: ReadonlyMap<Role, string>;

  private constructor(parts: Omit<ControlApp, 'ask' | 'upload' | 'close'>) {
    this.dir = parts.dir;
    this.store = parts.store;
    this.blobs = parts.blobs;
    this.key = parts.key;
    this.hub = parts.hub;
    this.notify = parts.notify;
    this.api = parts.api;
    this.tokens = parts.tokens;
  }

  /** `allowNetworks`: where its alerts may go besides public addresses. */
  static async open(
    allowNetworks: readonly string[] = [],
    maxDownloads?: number,
  ): Promise<ControlApp> {
    const dir = await mkdtemp(join(tmpdir(), 'driftline-control-'));
    const store = await Store.open(dir);
    const trust = await Trust.open(store, dir, Date.now());
    const key = trust.online;
    const blobs = new Blobs(dir);
    const log = pino({ level: 'silent' });
    const readArtifact = (digest: Digest) => blobs.read(digest, 1 << 24);
    const hub = await createHub({ store, trust, log, readArtifact });
    const stopping = new AbortController().signal;
    const hostNames = new Set(['driftline.test']);
    const now = Date.now;
    const publicUrl = () => 'http://driftline.test';
    const notify = await startNotify({ store, dataDir: dir, log, now, allowNetworks, publicUrl });
    const parts = { ...hub, notify, store, blobs, key, trust };
    const api = createApp({ ...parts, hostNames, log, now, stopping, maxDownloads });
    const tokens = new Map<Role, string>();
    for (const role of ['admin', 'operator', 'viewer'] as const) {
      const made = await store.write((tx) => createToken(tx, role, role, Date.now()));
      tokens.set(role, made.text);
    }
    return new ControlApp({ dir, store, blobs, key, hub, notify, api, tokens });
  }

  /** One request, as the administrator unless told otherwise. */
  async ask(method: string, path: string, ask: Ask = {}): Promise<Response> {
    const headers = new Headers(ask.headers);
    const bearer = ask.bearer ?? (ask.as === null ? undefined : this.tokens.get(ask.as ?? 'admin'));
    if (bearer !== undefined) headers.set('authorization', `Bearer ${bearer}`);
    if (ask.json !== undefined) headers.set('content-type', 'application/json');
    const body = ask.json === undefined ? ask.body : JSON.stringify(ask.json);
    return this.api.hono.request(path, { method, headers, body: body as BodyInit });
  }

  /** Stores `bytes` as an artifact and returns their digest. */
  async upload(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes);
    const response = await this.ask('PUT', `/api/v1/artifacts/${digest}`, { body: bytes });
    if (!response.ok) throw new Error(`upload of ${digest}: ${await response.text()}`);
    return digest;
  }

  async close(): Promise<void> {
    await this.notify.close();
    await this.hub.close();
    await this.store.close();
    await rm(this.dir, { recursive: true, force: true });
  }
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

export async function exampleModel(name: 'v1' | 'v2' | 'v3'): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(`${name}.onnx`, EXAMPLE)));
}

/** The manifest of a mortgage model, without a profile. */
export async function exampleManifest(model: Uint8Array): Promise<Manifest> {
  const draft: unknown = JSON.parse(await readFile(new URL('manifest.json', EXAMPLE), 'utf8'));
  const {
    task = 'binary',
    features = [],
    groups = [],
    prediction = null,
  } = manifestDraftSchema.parse(draft);
  const { inputs, outputs } = readModelInfo(model);
  const file = { role: 'model' as const, digest: digestOf(model), sizeBytes: model.length };
  return {
    schema: 1,
    model: 'mortgage',
    task,
    files: [file],
    inputs,
    outputs,
    features,
    groups,
    prediction,
  };
}

/** Uploads and registers a mortgage model; its version number. */
export async function pushExample(app: ControlApp, name: 'v1' | 'v2' | 'v3'): Promise<number> {
  const model = await exampleModel(name);
  await app.upload(model);
  const manifest = await app.upload(jsonBytes(await exampleManifest(model)));
  const response = await app.ask('POST', '/api/v1/models/mortgage/versions', {
    json: { manifest },
  });
  const pushed = (await response.json()) as { version: number };
  return pushed.version;
}
