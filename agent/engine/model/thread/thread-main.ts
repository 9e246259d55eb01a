import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../error.ts';
import type { Session, Tensor } from '../runtime.ts';
import { createNodeRuntime } from '../runtime-node.ts';
import { FrameReader, FrameWriter } from './mailbox.ts';
import { textFrame } from './tensor-frame.ts';
import { Ask, Outcome, type ThreadOpened, type ThreadStart, Word } from './thread-protocol.ts';

/** Calls between two turns of this thread's event loop, in which native objects of finished calls are freed. */
const CALLS_PER_TURN = 128;

/**
 * Below the thread that serves requests, where both share a core: health answers within 4 ms then instead of 6 while a
 * model computes, which itself loses nothing. On Linux 0 is the calling thread; elsewhere it would be the process.
 */
const NICENESS = 5;

/** The body of a worker thread: opens its session, then sleeps until asked, until told to close. */
async function main({ modelPath, options, control, port }: ThreadStart): Promise<void> {
  if (process.platform === 'linux') setPriority(0, NICENESS);
  const session = await open(modelPath, options);
  if (session === null) return port.close();
  const words = new Int32Array(control);
  const requests = new FrameReader(port);
  const responses = new FrameWriter(port, 'outputs');
  for (let handled = 0; ; handled += 1) {
    // `handled` lags behind only when something was asked meanwhile; then this returns at once.
    Atomics.wait(words, Word.asked, handled);
    const ask = Atomics.load(words, Word.ask);
    if (ask === Ask.close) break;
    try {
      responses.write(await answer(session, ask as Ask, requests));
      Atomics.store(words, Word.outcome, Outcome.done);
    } catch (error) {
      responses.write(textFrame(messageOf(error)));
      Atomics.store(words, Word.outcome, Outcome.failed);
    }
    Atomics.add(words, Word.answered, 1);
    Atomics.notify(words, Word.answered);
    if (handled % CALLS_PER_TURN === 0) await new Promise((turn) => setImmediate(turn));
  }
  await session.release();
  port.close();
}

async function open(modelPath: string, options: ThreadStart['options']): Promise<Session | null> {
  const say = (message: ThreadOpened) => parentPort?.postMessage(message);
  try {
    const session = await (await createNodeRuntime()).open(modelPath, options);
    say({ kind: 'opened' });
    return session;
  } catch (error) {
    say({ kind: 'failed', message: messageOf(error) });
    return null;
  }
}

async function answer(
  session: Session,
  ask: Ask,
  requests: FrameReader,
): Promise<ReadonlyMap<string, Tensor>> {
  if (ask === Ask.nodes) return textFrame(JSON.stringify((await session.nodes?.()) ?? {}));
  const inputs = requests.readScratch();
  return session.runSync === undefined ? session.run(inputs) : session.runSync(inputs);
}

await main(workerData as ThreadStart);
