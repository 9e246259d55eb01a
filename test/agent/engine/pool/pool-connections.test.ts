import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TestPool } from '../../../support/engine-pool.ts';
import { SLOW_SIZE, slowRequest, writeSlowModel } from '../../../support/slow-model.ts';
import { until } from '../../../support/stack.ts';

/** Real processes start and die, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const CONNECTIONS = 2000;
const AT_ONCE = 20;
/** What an engine gives connections that are not idle. */
const STOP_GRACE_MS = 3_000;
/** Files that a process may have open for its own purposes more than a moment before. */
const SLACK = 10;

let test: TestPool;
beforeEach(async () => {
  test = await TestPool.start({ engines: 2 });
});
afterEach(() => test.stop());

const openFiles = (pid: number | 'self') => readdirSync(`/proc/${pid}/fd`).length;

async function pids(): Promise<number[]> {
  return (await test.pool.snapshot()).processes.map(({ pid }) => pid);
}

const noneOpen = () => until('closing', async () => (test.pool.connections === 0 ? true : null));

/** Sends bytes, closes its own half if asked to, and gives what comes back until the end. */
async function exchange(bytes: string, halfClose = false): Promise<string> {
  const socket = connect({ port: test.port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  if (halfClose) socket.end(bytes);
  else socket.write(bytes);
  const said = await text(socket);
  socket.destroy();
  return said;
}

describe('connections that the supervisor hands to engines', () => {
  it(`leave nothing open behind them, after ${CONNECTIONS} short ones`, async () => {
    const engines = await pids();
    const before = ['self' as const, ...engines].map(openFiles);
    let left = CONNECTIONS;
    const client = async () => {
      for (; left > 0; left -= 1) {
        const { status } = await test.send('GET', '/v2/health/live');
        if (status !== 200) throw new Error(`status ${status}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    await noneOpen();
    for (const [at, pid] of ['self' as const, ...engines].entries()) {
      expect(openFiles(pid)).toBeLessThanOrEqual(before[at] + SLACK);
    }
  });

  it('reach every engine in turn', async () => {
    await test.serve({ slow: await writeSlowModel(test.folder, 'slow', 1) });
    for (let k = 0; k < 10; k += 1) await test.infer('slow', 1);
    const { processes, arms } = await test.pool.snapshot();
    expect(processes).toHaveLength(2);
    expect(arms[0]).toMatchObject({ deployment: 'slow', version: 1, success: { count: 10 } });
    const engines = test.pool.engineSnapshots.map((each) => each.arms[0].success.count);
    expect(engines).toEqual([5, 5]);
  });

  it('are closed by the server when the client asks for that, or speaks no HTTP', async () => {
    const closing = 'GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    expect(await exchange(closing)).toContain('{"live":true}');
    expect(await exchange('nonsense\r\n\r\n')).toContain('400 Bad Request');
    await noneOpen();
  });

  it('are answered though the client has closed its half', async () => {
    const asked = 'GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n';
    expect(await exchange(asked, true)).toContain('{"live":true}');
    await noneOpen();
  });

  it('are closed when their engine dies while they are idle', async () => {
    const agent = new Agent({ keepAlive: true });
    const req = request({ port: test.port, path: '/v2/health/live', agent });
    const closed = new Promise((resolve) => {
      req.once('socket', (socket) => socket.once('close', resolve));
    });
    req.end();
    const [res] = await once(req, 'response');
    await text(res);
    expect(test.pool.connections).toBe(1);
    for (const pid of await pids()) process.kill(pid, 'SIGKILL');
    await closed;
    expect(test.pool.connections).toBe(0);
    agent.destroy();
  });

  it('are drained when the pool stops: what is computed is answered', async () => {
    await test.serve({ slow: await writeSlowModel(test.folder, 'slow', 1) });
    const answer = test.infer('slow', SLOW_SIZE / 2);
    await test.waiting(1);
    await test.pool.stop();
    expect((await answer).status).toBe(200);
    expect(test.deaths).toEqual([]);
    await expect(test.send('GET', '/v2/health/live')).rejects.toThrow('ECONNREFUSED');
  });

  it('are closed at once when the pool stops while they are idle', async () => {
    const agent = new Agent({ keepAlive: true });
    const req = request({ port: test.port, path: '/v2/health/live', agent }).end();
    const [res] = await once(req, 'response');
    await text(res);
    expect(test.pool.connections).toBe(1);
    const startedMs = performance.now();
    await test.pool.stop();
    expect(performance.now() - startedMs).toBeLessThan(STOP_GRACE_MS / 2);
    agent.destroy();
  });

  it('wait for an engine while none is up, and no longer than they should', async () => {
    for (const pid of await pids()) process.kill(pid, 'SIGKILL');
    const body = slowRequest(1);
    const answers = await Promise.all([
      test.send('GET', '/v2/health/live'),
      test.send('POST', '/v2/models/none/infer', body),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 404]);
  });
});
