import type { Logger } from 'pino';
import type { AgentConfig } from '../config.ts';
import type { EnginePool } from '../engine/pool/pool.ts';
import type { LabelDesk } from '../labels/label-desk.ts';
import type { EgressLedger } from '../link/egress.ts';
import type { Identity } from '../link/identity.ts';
import type { LogTail } from '../log-tail.ts';
import type { Convergence } from '../rollout/convergence.ts';
import { type DiagnosticsDeps, diagnose } from './diagnostics.ts';
import type { LogSwitch } from './log-switch.ts';
import { CommandRunner } from './run-command.ts';

/** What its program knows and a supervisor can't. */
export interface About {
  /** Of the package. */
  readonly version: string;
  readonly tail: LogTail;
}

export interface HostParts {
  readonly config: AgentConfig;
  readonly about: About;
  readonly log: Logger;
  readonly logSwitch: LogSwitch;
  readonly pool: EnginePool;
  readonly convergence: Convergence;
  readonly labels: LabelDesk;
  readonly identity: Identity;
  readonly ledger: EgressLedger;
  readonly outbox: DiagnosticsDeps['outbox'];
}

/** Which part of a host does what it is asked. */
export function commandsOf(host: HostParts): CommandRunner {
  const { config, about, pool, convergence, labels, identity, ledger, outbox } = host;
  const egress = () => ledger.egress;
  return new CommandRunner({
    plan: () => convergence.serving,
    filesOf: (manifest) => convergence.filesOf(manifest),
    rotateKey: async () => (await identity.prepareRotation()).publicKey,
    drain: (draining) => drain(host, draining),
    restartEngines: () => pool.restart(),
    recall: (deployment, decision, row) => labels.recall(deployment, decision, row),
    diagnose: () => diagnose({ config, ...about, pool, convergence, outbox, egress }),
    setLogLevel: (level, forMs) => host.logSwitch.set(level, forMs),
  });
}

/** Until it is told otherwise, or starts anew: whoever restarts a host by hand wants it to serve. */
function drain({ log, pool, convergence }: HostParts, draining: boolean): Promise<number> {
  log.warn(draining ? 'drained: requests are refused' : 'undrained: requests are taken');
  const inFlight = pool.drain(draining);
  // Not after it: what is in flight may take long.
  convergence.report();
  return inFlight;
}
