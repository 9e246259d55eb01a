import type { DesiredMessage } from '../../protocol/desired.ts';
import type { LeaseMessage } from '../../protocol/lease.ts';
import type { EventMessage } from '../../protocol/telemetry.ts';
import { messageOf } from '../error.ts';
import type { Convergence } from './convergence.ts';
import { type DesiredGate, Equivocation } from './desired-gate.ts';
import type { ExpiryWatch } from './expiry-watch.ts';
import type { RestraintDesk } from './restraint-desk.ts';
import type { Withholding } from './withholding.ts';

export interface DocumentQueueDeps {
  readonly gate: DesiredGate;
  readonly convergence: Convergence;
  readonly restraints: RestraintDesk;
  readonly expiry: ExpiryWatch;
  readonly withholding: Withholding;
  onEvent(name: EventMessage['name'], detail: string): void;
  log(level: 'warn', message: string, detail: object): void;
}

/** What the control plane signs, taken up one after another in the order in which it came. */
export class DocumentQueue {
  readonly #deps: DocumentQueueDeps;
  #tail: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: DocumentQueueDeps) {
    this.#deps = deps;
  }

  desired(message: DesiredMessage): void {
    this.#tail = this.#tail
      .then(() => this.#accept(message))
      .catch((error: unknown) => {
        this.#deps.log('warn', 'desired state refused', { reason: messageOf(error) });
        const name = error instanceof Equivocation ? 'equivocation' : 'desired-refused';
        this.#deps.onEvent(name, messageOf(error));
      });
  }

  /** Behind the documents that came before it: it renews what the newest of them says. */
  lease(message: LeaseMessage): void {
    const { gate, restraints, convergence, log } = this.#deps;
    this.#tail = this.#tail
      .then(() => gate.renewal(message))
      .then((renewal) => restraints.renewed(renewal, convergence.settled))
      .catch((error: unknown) => {
        log('warn', 'renewal of leases refused', { reason: messageOf(error) });
      });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #accept(message: DesiredMessage): Promise<void> {
    if (this.#stopped) return;
    const { gate, convergence, expiry, withholding } = this.#deps;
    const taken = await gate.take(message);
    if (taken === null) {
      convergence.report();
      return;
    }
    expiry.follow(taken.accepted.desired);
    // Before anything is counted under it.
    withholding.follow(taken.accepted.desired);
    void convergence.want(taken.accepted);
    await taken.saved;
  }
}
