import type { MessagePort } from 'node:worker_threads';
import type { SessionOptions } from '../runtime.ts';

/** What a worker thread is started with. */
export interface ThreadStart {
  readonly modelPath: string;
  readonly options: SessionOptions;
  /** Int32 words, see `Word`. */
  readonly control: SharedArrayBuffer;
  /** New memory for requests arrives here, new memory for responses leaves here. */
  readonly port: MessagePort;
}

/** Said once, in the ordinary way: the session is open, or why not. */
export type ThreadOpened =
  | { readonly kind: 'opened' }
  | { readonly kind: 'failed'; readonly message: string };

/** Words of the control memory. */
export const Word = {
  /** Counts what the serving thread asked; the worker waits on it. */
  asked: 0,
  /** Counts what the worker answered; the serving thread waits on it. */
  answered: 1,
  /** One of `Ask`. */
  ask: 2,
  /** One of `Outcome`. */
  outcome: 3,
} as const;

export const CONTROL_BYTES = 4 * Int32Array.BYTES_PER_ELEMENT;

export const Ask = { run: 0, nodes: 1, close: 2 } as const;
export type Ask = (typeof Ask)[keyof typeof Ask];

/** The response frame holds outputs, the text of an error, or nothing because the thread has ended. */
export const Outcome = { done: 0, failed: 1, ended: 2 } as const;
