import type { Command } from 'commander';

/** What `deploy` and `serving` take about how hosts execute a deployment. */
export interface ServingFlags {
  readonly serving?: string;
  readonly maxBatchSize?: string;
  readonly maxQueueDelayUs?: string;
  readonly maxQueue?: string;
  readonly timeoutUs?: string;
  readonly placement?: string;
  readonly workers?: string;
  readonly intraOpThreads?: string;
  readonly providers?: string;
  readonly engines?: string;
}

const FLAGS: readonly (readonly [flag: string, description: string])[] = [
  ['--serving <file.json>', 'all of the below as JSON, as {"placement": "worker", "workers": 2}'],
  ['--max-batch-size <rows>', 'rows of one call of the model; 1 turns batching off'],
  ['--max-queue-delay-us <us>', 'how long a request may wait for company; never when idle'],
  ['--max-queue <requests>', 'requests that may wait in one engine; one more is answered 503'],
  ['--timeout-us <us>', 'deadline of requests that state none; passed, they are answered 504'],
  ['--placement <where>', 'inline: in the serving thread; worker: in threads beside it; auto'],
  ['--workers <n>', 'threads with a session each, where the model is placed on workers'],
  ['--intra-op-threads <n>', 'threads inside one operator of one session'],
  ['--providers <list>', 'cuda, tensorrt, webgpu, cpu: the first that works and agrees is used'],
  ['--engines <n>', 'engine processes it asks of a host'],
];

export function withServingFlags(command: Command): Command {
  for (const [flag, description] of FLAGS) command.option(flag, description);
  return command;
}
