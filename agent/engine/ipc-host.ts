import { AgentError } from '../error.ts';
import type { Answer, EngineHost, Question } from './host.ts';
import type { FromEngine, ToEngine } from './messages.ts';

/** A statistics request is not kept longer than this: its own engine's numbers are better than none. */
const SNAPSHOT_TIMEOUT_MS = 1_000;
/** A thousand labels take some milliseconds, unless the disk is slow. */
const FEEDBACK_TIMEOUT_MS = 10_000;
/** Loading may open a large model in every engine. */
const CHANGE_TIMEOUT_MS = 60_000;

const TIMEOUT_MS: Readonly<Record<Question['kind'], number>> = {
  snapshot: SNAPSHOT_TIMEOUT_MS,
  feedback: FEEDBACK_TIMEOUT_MS,
  load: CHANGE_TIMEOUT_MS,
  unload: CHANGE_TIMEOUT_MS,
};

/** The supervisor, asked over this process's IPC channel. */
export class IpcHost implements EngineHost {
  readonly #send: (message: Extract<FromEngine, { kind: 'ask' }>) => void;
  readonly #open = new Map<number, (answer: Answer | null) => void>();
  #nextId = 0;

  constructor(send: (message: Extract<FromEngine, { kind: 'ask' }>) => void) {
    this.#send = send;
  }

  async ask(question: Question): Promise<Answer> {
    this.#nextId += 1;
    const id = this.#nextId;
    const timeoutMs = TIMEOUT_MS[question.kind];
    const answer = await new Promise<Answer | null>((resolve) => {
      const timer = setTimeout(() => this.#settle(id, null), timeoutMs);
      this.#open.set(id, (settled) => {
        clearTimeout(timer);
        resolve(settled);
      });
      this.#send({ kind: 'ask', id, question });
    });
    if (answer === null) {
      throw new AgentError('engine', `the supervisor did not answer in ${timeoutMs} ms`);
    }
    return answer;
  }

  received({ id, answer }: Extract<ToEngine, { kind: 'answer' }>): void {
    this.#settle(id, answer);
  }

  #settle(id: number, answer: Answer | null): void {
    this.#open.get(id)?.(answer);
    this.#open.delete(id);
  }
}
