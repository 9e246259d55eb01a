import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Source } from '../../agent/store/source.ts';
import { type ChunkIndex, indexChunks } from '../../protocol/chunk-index.ts';
import type { Digest } from '../../protocol/ids.ts';
import { manifestOf } from '../protocol/documents.ts';

/** Serves artifacts as a control plane does: by digest and range. */
export class ArtifactServer {
  readonly files = new Map<string, Uint8Array>();
  /** What stands behind the digest in the path, such as `/chunks`. */
  readonly documents = new Map<string, unknown>();
  /** Bytes of bodies that were sent, and requests that were answered. */
  sentBytes = 0;
  readonly asked: string[] = [];
  /** Answers in place of this server when it returns true. */
  intercept: (req: IncomingMessage, res: ServerResponse) => boolean = () => false;
  connections = 0;
  readonly #server = createServer((req, res) => this.#answer(req, res));

  async start(): Promise<this> {
    this.#server.on('connection', () => {
      this.connections += 1;
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get source(): Source {
    return { url: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`, token: '' };
  }

  put(bytes: Uint8Array): Digest {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    this.files.set(digest, bytes);
    return digest;
  }

  /** Puts a version of one model file; the digest of its manifest. */
  putVersion(model: Uint8Array): Digest {
    const file = { role: 'model' as const, digest: this.put(model), sizeBytes: model.length };
    return this.put(Buffer.from(JSON.stringify(manifestOf({ files: [file] }))));
  }

  /** Says how an artifact is cut, as newer control planes do. */
  async putChunks(bytes: Uint8Array): Promise<ChunkIndex> {
    const digest = this.put(bytes);
    async function* pieces() {
      yield bytes;
    }
    const index = await indexChunks(digest, pieces(), () => createHash('sha256'));
    this.documents.set(`${digest}/chunks`, index);
    return index;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const name = (req.url ?? '').split('/artifacts/')[1] ?? '';
    const { range } = req.headers;
    this.asked.push(`${name.slice(7, 11)}${name.slice(71)} ${range ?? ''}`);
    if (!this.intercept(req, res)) this.answer(req, res);
  }

  /** As it does when nobody intercepts. */
  answer(req: IncomingMessage, res: ServerResponse): void {
    const name = (req.url ?? '').split('/artifacts/')[1] ?? '';
    const { range } = req.headers;
    const bytes = this.files.get(name);
    const document = this.documents.get(name);
    if (document !== undefined) {
      const text = JSON.stringify(document);
      this.sentBytes += text.length;
      res.writeHead(200, { 'content-type': 'application/json' }).end(text);
    } else if (bytes === undefined) res.writeHead(404).end();
    else this.#send(res, bytes, range);
  }

  #send(res: ServerResponse, bytes: Uint8Array, range: string | undefined): void {
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const first = Number(from ?? 0);
    const last = to === undefined || to === '' ? bytes.length - 1 : Number(to);
    const headers = { 'content-range': `bytes ${first}-${last}/${bytes.length}` };
    const body = bytes.subarray(first, last + 1);
    this.sentBytes += body.length;
    res.writeHead(from === undefined ? 200 : 206, from === undefined ? {} : headers).end(body);
  }
}
