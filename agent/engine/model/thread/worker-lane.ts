/// <reference lib="es2024.sharedmemory" />
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { AgentError, messageOf } from '../../../error.ts';
import type { NodeCounts, SessionOptions, Tensor } from '../runtime.ts';
import { THREAD_ENTRY } from './entry.ts';
import { FrameReader, FrameWriter } from './mailbox.ts';
import { textOf } from './tensor-frame.ts';
import {
  Ask,
  CONTROL_BYTES,
  Outcome,
  type ThreadOpened,
  type ThreadStart,
  Word,
} from './thread-protocol.ts';

type Tensors = ReadonlyMap<string, Tensor>;

/**
 * The serving thread's end of one worker thread. One call at a time: the caller waits for the answer before it calls
 * again. An idle lane keeps no process alive.
 */
export class WorkerLane {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #words: Int32Array;
  readonly #requests: FrameWriter;
  readonly #responses: FrameReader;
  readonly #ended: Promise<void>;
  #lastError: unknown = null;
  /** When the call on its way began, on the clock of `performance.now()`; null: idle. */
  #askedMs: number | null = null;

  private constructor(modelPath: string, options: SessionOptions) {
    const { port1, port2 } = new MessageChannel();
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    const start: ThreadStart = { modelPath, options, control, port: port2 };
    this.#worker = new Worker(THREAD_ENTRY, {
      workerData: start,
      transferList: [port2],
      // Flags of the process are about its own script: `--input-type` refuses any file.
      execArgv: [],
    });
    this.#port = port1;
    this.#words = new Int32Array(control);
    this.#requests = new FrameWriter(port1, 'inputs');
    this.#responses = new FrameReader(port1);
    this.#worker.on('error', (error) => {
      this.#lastError = error;
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        // Whoever waits for an answer is woken; there will be none.
        Atomics.store(this.#words, Word.outcome, Outcome.ended);
        Atomics.add(this.#words, Word.answered, 1);
        Atomics.notify(this.#words, Word.answered);
        this.#port.close();
        resolve();
      });
    });
  }

  /** Resolves when the thread has opened its session; throws `AgentError` 'engine' with its reason where it can't. */
  static async open(modelPath: string, options: SessionOptions): Promise<WorkerLane> {
    const lane = new WorkerLane(modelPath, options);
    const opened = new Promise<ThreadOpened>((resolve) => lane.#worker.once('message', resolve));
    const first = await Promise.race([opened, lane.#ended.then(() => undefined)]);
    if (first?.kind !== 'opened') {
      await lane.#ended;
      throw new AgentError('engine', first === undefined ? lane.death : first.message);
    }
    lane.#worker.unref();
    return lane;
  }

  /** Resolves once the thread is gone, asked or not. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Age of the call on its way; 0 without one. */
  get busyMs(): number {
    return this.#askedMs === null ? 0 : performance.now() - this.#askedMs;
  }

  async run(inputs: Tensors): Promise<Map<string, Tensor>> {
    this.#requests.write(inputs);
    return this.#ask(Ask.run);
  }

  async nodes(): Promise<NodeCounts> {
    return JSON.parse(textOf(await this.#ask(Ask.nodes))) as NodeCounts;
  }

  /**
   * Resolves when the thread has ended and its memory is given back. Not while a call is on its way. Asked, and never
   * terminated: a thread that is ended inside ONNX Runtime's binding aborts the process ("Napi::Error").
   */
  async close(): Promise<void> {
    this.#worker.ref();
    this.#post(Ask.close);
    await this.#ended;
  }

  async #ask(ask: Ask): Promise<Map<string, Tensor>> {
    const words = this.#words;
    const answered = Atomics.load(words, Word.answered);
    if (Atomics.load(words, Word.outcome) === Outcome.ended) throw this.#gone();
    this.#post(ask);
    // A pending `waitAsync` keeps no event loop alive; the worker does.
    this.#worker.ref();
    this.#askedMs = performance.now();
    await Atomics.waitAsync(words, Word.answered, answered).value;
    this.#askedMs = null;
    this.#worker.unref();
    const outcome = Atomics.load(words, Word.outcome);
    if (outcome === Outcome.ended) throw this.#gone();
    const frame = this.#responses.readOwn();
    if (outcome === Outcome.failed) throw new AgentError('engine', textOf(frame));
    return frame;
  }

  #post(ask: Ask): void {
    Atomics.store(this.#words, Word.ask, ask);
    Atomics.add(this.#words, Word.asked, 1);
    Atomics.notify(this.#words, Word.asked);
  }

  #gone(): AgentError {
    return new AgentError('engine', this.death, { cause: this.#lastError });
  }

  /** Why the thread is gone. */
  get death(): string {
    const why = this.#lastError === null ? '' : `: ${messageOf(this.#lastError)}`;
    return `the worker thread of the model has ended${why}`;
  }
}
