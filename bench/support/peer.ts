import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { processTree } from './process-memory.ts';
import { resolvesWithTensors } from './same-outputs.ts';
import type { Server } from './server.ts';

/** Compiled, this file lies in dist/bench/support; the Python scripts stay where they are. */
const ROOT = resolve(import.meta.dirname, '../../..');
const SCRIPTS = join(ROOT, 'bench/peers');
const ENVIRONMENTS = join(ROOT, 'node_modules/.cache/peers');
const START_TIMEOUT_MS = 60_000;
const RETRY_MS = 200;
const STOP_GRACE_MS = 5_000;

export interface PeerKind {
  readonly name: string;
  /** As its users call it. */
  readonly title: string;
  /** What its virtual environment's Python is told. */
  readonly command: readonly string[];
  /** Whether its server takes the binary tensor data extension. */
  readonly binary: boolean;
}

export const PEERS: readonly PeerKind[] = [
  {
    name: 'fastapi',
    title: 'FastAPI + onnxruntime',
    command: ['fastapi_server.py'],
    binary: true,
  },
  { name: 'mlserver', title: 'MLServer', command: ['mlserver_server.py'], binary: false },
  { name: 'kserve', title: 'KServe', command: ['kserve_server.py'], binary: true },
  { name: 'litserve', title: 'LitServe', command: ['litserve_server.py'], binary: false },
  {
    name: 'bentoml',
    title: 'BentoML',
    command: ['-m', 'bentoml', 'serve', 'bentoml_server:Onnx', '--quiet'],
    binary: false,
  },
];

export function isInstalled({ name }: PeerKind): boolean {
  return existsSync(pythonOf(name));
}

/** The framework's version, from the pins it was installed with. */
export function versionOf({ name }: PeerKind): string {
  const pins = readFileSync(join(SCRIPTS, `${name}.txt`), 'utf8');
  return new RegExp(`^${name}==(.+)$`, 'm').exec(pins)?.[1] ?? '?';
}

function pythonOf(name: string): string {
  return join(ENVIRONMENTS, name, 'bin/python');
}

export interface PeerOptions {
  readonly model: string;
  readonly modelPath: string;
  readonly core: number | null;
  /** Answered once it serves. */
  readonly probe: Buffer;
}

/** Somebody else's server, in Python, with all the processes that it starts. */
export class PeerServer implements Server {
  readonly name: string;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(name: string, port: number, child: ChildProcess) {
    this.name = name;
    this.port = port;
    this.#child = child;
  }

  static async start(kind: PeerKind, options: PeerOptions): Promise<PeerServer> {
    const port = await freePort();
    const python = [pythonOf(kind.name), ...kind.command];
    const { core, model, modelPath } = options;
    const [program, ...args] = core === null ? python : ['taskset', '-c', `${core}`, ...python];
    const env = {
      ...process.env,
      PEER_MODEL: modelPath,
      PEER_NAME: model,
      PEER_PORT: String(port),
      PYTHONDONTWRITEBYTECODE: '1',
      BENTOML_DO_NOT_TRACK: 'True',
    };
    // A group of its own: some of them start processes and leave them behind.
    const child = spawn(program, args, { cwd: SCRIPTS, env, stdio: 'ignore', detached: true });
    const server = new PeerServer(kind.title, port, child);
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await resolvesWithTensors(port, options.probe))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await server.stop();
        throw new Error(`${kind.title} did not answer (exit ${child.exitCode})`);
      }
      await new Promise((wake) => setTimeout(wake, RETRY_MS));
    }
    return server;
  }

  async cpuUs(): Promise<number> {
    return this.#processes().reduce((sum, pid) => sum + (readStat(pid)?.cpuUs ?? 0), 0);
  }

  /** Idle ones poll their queues: on the core of the one that is measured they would slow it down. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  async stop(): Promise<void> {
    this.resume();
    this.#signal('SIGTERM');
    const deadline = Date.now() + STOP_GRACE_MS;
    while (this.#processes().length > 0 && Date.now() < deadline) {
      await new Promise((wake) => setTimeout(wake, RETRY_MS));
    }
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    for (const pid of this.#processes()) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** Its group, and those below it that have left the group: some of them start processes either way. */
  #processes(): number[] {
    const { pid: leader } = this.#child;
    if (leader === undefined) return [];
    const group = readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => readStat(pid)?.group === leader);
    const all = new Set([...processTree(leader), ...group]);
    return [...all].filter((pid) => (readStat(pid)?.state ?? 'Z') !== 'Z');
  }
}

const TICKS_PER_SECOND = Number(spawnSync('getconf', ['CLK_TCK']).stdout ?? 100);

/** Fields 3, 5, 14 and 15 of proc(5)'s stat, which follow a name that may hold anything. */
function readStat(pid: number): { group: number; state: string; cpuUs: number } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // it has ended meanwhile
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { state: fields[0], group: Number(fields[2]), cpuUs: (ticks / TICKS_PER_SECOND) * 1e6 };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}
