import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelFiles } from '../../../../agent/engine/messages.ts';
import { TestPool } from '../../../support/engine-pool.ts';
import { SLOW_SIZE, slowRequest, writeSlowModel } from '../../../support/slow-model.ts';

/** Real processes start and die, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestPool;
let slow: ModelFiles;

beforeEach(async () => {
  test = await TestPool.start();
  slow = await writeSlowModel(test.folder, 'slow', 1);
});
afterEach(() => test.stop());

/** The process id of the one engine. */
async function enginePid(): Promise<number> {
  const { processes } = await test.pool.snapshot();
  return processes[0].pid;
}

describe('an engine that dies', () => {
  it('has its waiting requests answered 503 by the supervisor, and is replaced', async () => {
    await test.serve({ slow });
    const pid = await enginePid();
    const waiting = [1, 2, 3].map(() => test.infer('slow', SLOW_SIZE));
    await test.waiting(3);
    process.kill(pid, 'SIGSEGV');
    for (const answer of await Promise.all(waiting)) {
      expect(answer.status).toBe(503);
      expect(answer.headers).toMatchObject({ 'retry-after': '1', connection: 'close' });
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'engine_died' });
    }
    const death = await test.death(1);
    expect(death).toMatchObject({ cause: 'SIGSEGV', pid, computing: [slow.manifest] });
    // Held by the supervisor until the replacement serves.
    expect((await test.infer('slow', 1)).status).toBe(200);
    expect(await enginePid()).not.toBe(pid);
  });

  it('answers at most the first of two requests that wait on one connection, and closes it', async () => {
    await test.serve({ slow });
    const pid = await enginePid();
    const { headers, body } = slowRequest(SLOW_SIZE);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n${lines.join('')}`;
    const socket = connect(test.port, '127.0.0.1');
    for (let k = 0; k < 2; k += 1) {
      socket.write(`${head}Content-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    }
    await test.waiting(2);
    const said = text(socket).catch(() => '');
    process.kill(pid, 'SIGSEGV');
    expect((await said).split('HTTP/1.1 ').length - 1).toBeLessThanOrEqual(1);
  });

  it('is traced to the version it computed in its own thread', async () => {
    await test.serve({ slow }, { placement: 'inline' });
    const pid = await enginePid();
    expect((await test.infer('slow', 1)).status).toBe(200);
    process.kill(pid, 'SIGSEGV');
    const death = await test.death(1);
    expect(death).toMatchObject({ computing: [], computedLast: slow.manifest, loading: [] });
  });

  it('is not missed: connections that it never touched go to another', async () => {
    await test.serve({ slow });
    process.kill(await enginePid(), 'SIGKILL');
    const answers = await Promise.all(Array.from({ length: 20 }, () => test.infer('slow', 1)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(test.pool.connections).toBeLessThanOrEqual(20);
  });
});
