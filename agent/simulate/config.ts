import { parseArgs } from 'node:util';
import { nameSchema, versionNumberSchema } from '../../protocol/ids.ts';
import { AgentError } from '../error.ts';

/** What goes wrong on the way, all drawn from one seed. Probabilities are per frame. */
export interface Faults {
  /** The frame is lost and its connection with it, which is how TCP loses one. */
  readonly drop: number;
  /** A proxy sends a frame of the agent twice. */
  readonly duplicate: number;
  /** A proxy lets the next frame of the agent overtake one. */
  readonly reorder: number;
  /** Mean time on the way, each direction; exponentially distributed, in order. */
  readonly delayMs: number;
  /** Clocks are off by up to so much, either way. */
  readonly skewMs: number;
  /** Share of the agents that die and come back in a minute. */
  readonly crashes: number;
}

export interface RollbackPlan {
  readonly deployment: string;
  readonly version: number;
  /** How many are measured, each second one the way forward again. */
  readonly times: number;
}

export interface SimulationConfig {
  readonly agents: number;
  readonly controlUrl: string;
  /** Of someone who may make join tokens, and roll back. */
  readonly apiToken: string;
  readonly seconds: number;
  /** Rows of each window. */
  readonly rows: number;
  readonly seed: number;
  readonly faults: Faults;
  /** Taken back to a version, and forward again, in the middle of the run; null: nothing is. */
  readonly rollback: RollbackPlan | null;
}

export const SIMULATE_USAGE = `Usage: driftline simulate --agents N --control URL [options]

Virtual agents in one process: real keys, sockets and outboxes, the protocol as real agents speak it, and no model.
They join with tokens made with $DRIFTLINE_TOKEN, carry the label simulation=ID, follow what they are told to serve,
and send windows drawn from the baseline of each version. Run it against a control plane that is for trying things:
a deployment for all hosts is also one for these.

  --agents N          how many, 1 to 20,000
  --control URL       control plane, for example http://127.0.0.1:7700
  --seconds S         how long after all are linked, 5 to 3,600           (default 60)
  --rows N            rows of each window                                (default 500)
  --rollback D@V      take deployment D back to version V, and forward again, and measure until each agent has said so;
                      signatures are verified right after that, which on real hosts costs each of them a millisecond
  --rollbacks N       so many of them, 1 to 100, back and forth; the median by p99 is told (default 1)
  --seed N            of everything that is left to chance                (default 1)
  --drop P            a frame is lost, and its connection with it         (default 0)
  --duplicate P       a frame arrives twice                               (default 0)
  --reorder P         a frame is overtaken by the next                    (default 0)
  --delay MS          mean time of a frame on its way                     (default 0)
  --skew MS           clocks are off by up to this, either way            (default 0)
  --crashes P         share of the agents that die in a minute            (default 0)
  --json              one line of JSON at the end

It ends with 1 when a window was lost or counted twice, or an agent never linked.
`;

/** Throws `AgentError` 'configuration' that names the value. */
export function readSimulationConfig(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): SimulationConfig {
  const values = parse(argv);
  const apiToken = env.DRIFTLINE_TOKEN;
  if (apiToken === undefined || apiToken === '') {
    throw invalid('DRIFTLINE_TOKEN is not set: agents need join tokens, which an admin makes');
  }
  if (values.control === undefined) throw invalid('--control URL is missing');
  if (values.rollbacks !== undefined && values.rollback === undefined) {
    throw invalid('--rollbacks needs --rollback D@V: what is to be taken back');
  }
  const number = (name: keyof typeof values, low: number, high: number, otherwise: number) =>
    numberOf(`--${name}`, values[name], low, high, otherwise);
  return {
    agents: whole('--agents', number('agents', 1, 20_000, Number.NaN)),
    controlUrl: urlOf(values.control),
    apiToken,
    seconds: number('seconds', 5, 3_600, 60),
    rows: whole('--rows', number('rows', 1, 1_000_000, 500)),
    seed: whole('--seed', number('seed', 0, 2 ** 31, 1)),
    rollback:
      values.rollback === undefined
        ? null
        : {
            ...targetOf(values.rollback),
            times: whole('--rollbacks', number('rollbacks', 1, 100, 1)),
          },
    faults: {
      drop: number('drop', 0, 1, 0),
      duplicate: number('duplicate', 0, 1, 0),
      reorder: number('reorder', 0, 1, 0),
      delayMs: number('delay', 0, 60_000, 0),
      skewMs: number('skew', 0, 86_400_000, 0),
      crashes: number('crashes', 0, 1, 0),
    },
  };
}

const VALUES = [
  ...['agents', 'control', 'seconds', 'rows', 'rollback', 'rollbacks', 'seed'],
  ...['drop', 'duplicate', 'reorder', 'delay', 'skew', 'crashes'],
] as const;

function parse(argv: readonly string[]): Record<string, string | undefined> {
  const options = Object.fromEntries(VALUES.map((name) => [name, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...options, json: { type: 'boolean' } },
      strict: true,
    });
    const { json: _, ...given } = values;
    return given as Record<string, string | undefined>;
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
}

function numberOf(
  flag: string,
  text: string | undefined,
  low: number,
  high: number,
  otherwise: number,
): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!(value >= low && value <= high)) {
    throw invalid(`${flag} ${text ?? 'is missing'}: a number from ${low} to ${high}`);
  }
  return value;
}

function whole(flag: string, value: number): number {
  if (!Number.isInteger(value)) throw invalid(`${flag} ${value}: a whole number`);
  return value;
}

function urlOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw invalid(`--control ${text}: an http or https URL`);
  }
  return url.href;
}

function targetOf(text: string): { deployment: string; version: number } {
  const [name, number = ''] = text.split('@');
  const deployment = nameSchema.safeParse(name);
  const version = versionNumberSchema.safeParse(Number(number));
  if (!deployment.success || !version.success) {
    throw invalid(`--rollback ${text}: a deployment and a version, as mortgage@1`);
  }
  return { deployment: deployment.data, version: version.data };
}

function invalid(message: string): AgentError {
  return new AgentError('configuration', message);
}
