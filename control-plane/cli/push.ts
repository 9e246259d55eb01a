import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Client } from './client.ts';
import { CliError } from './error.ts';
import { AGENT_PROGRAM } from './programs.ts';
import { uploadFile } from './upload.ts';

export interface PushRequest {
  readonly model: string;
  readonly file: string;
  readonly baseline: string | null;
  readonly manifest: string | null;
  /** The file is the graph of a pipeline, not a model. */
  readonly pipeline?: boolean;
}

export interface Pushed {
  readonly model: string;
  readonly version: number;
  readonly manifest: string;
  /** False: it waits for somebody with the release key. */
  readonly released: boolean;
  readonly warnings: readonly string[];
  readonly baselineRows: number;
  readonly sentBytes: number;
}

type OnProgress = (what: string, doneBytes: number, totalBytes: number) => void;

interface Described {
  readonly warnings: readonly string[];
  readonly rows: number;
}

/** Describes a model file, uploads what the control plane lacks and registers the version. */
export async function pushModel(
  client: Client,
  request: PushRequest,
  onProgress: OnProgress = () => undefined,
): Promise<Pushed> {
  const folder = await mkdtemp(join(tmpdir(), 'driftline-push-'));
  try {
    const described = await describeModel(request, folder);
    const manifestPath = join(folder, 'manifest.json');
    const { files } = JSON.parse(await readFile(manifestPath, 'utf8')) as Manifest;
    let sentBytes = 0;
    const send = async (what: string, path: string) => {
      const sent = await uploadFile(client, path, (done, of) => onProgress(what, done, of));
      sentBytes += sent.sentBytes;
      return sent.digest;
    };
    for (const { role } of files) {
      const given = role === 'model' || role === 'pipeline';
      await send(role, given ? request.file : join(folder, `${role}.json`));
    }
    const manifest = await send('manifest', manifestPath);
    const path = `/api/v1/models/${encodeURIComponent(request.model)}/versions`;
    const { model, version, released } = await client.post<
      Pick<Pushed, 'model' | 'version' | 'released'>
    >(path, { manifest });
    const { warnings, rows } = described;
    return { model, version, manifest, released, warnings, baselineRows: rows, sentBytes };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the agent's own code over model and baseline, so that profiles fit what hosts will count. */
async function describeModel(request: PushRequest, folder: string): Promise<Described> {
  const argv = ['describe', '--model', request.file, '--name', request.model, '--out', folder];
  if (request.baseline !== null) argv.push('--baseline', request.baseline);
  if (request.pipeline === true) argv.push('--pipeline');
  if (request.manifest !== null) argv.push('--manifest', request.manifest);
  const child = spawn(process.execPath, [AGENT_PROGRAM, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err, code] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    }),
  ]);
  const last = out.trim().split('\n').at(-1) ?? '';
  const said = last.startsWith('{')
    ? (JSON.parse(last) as { ok: boolean; error?: string; warnings?: string[]; rows?: number })
    : null;
  if (code !== 0 || said === null || !said.ok) {
    const why = said?.error ?? (err.trim() || `it exited with ${code}`);
    throw new CliError('failed', `${request.file} can't become a version: ${why}`);
  }
  return { warnings: said.warnings ?? [], rows: said.rows ?? 0 };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
