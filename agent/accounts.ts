import type { LedgerMessage } from '../protocol/ledger.ts';
import type { EnginePool } from './engine/pool/pool.ts';
import { messageOf } from './error.ts';
import type { EgressLedger } from './link/egress.ts';

/** Rarely enough to be next to nothing, often enough that a crash hides little. */
const EVERY_MS = 600_000;

export interface AccountsOptions {
  readonly ledger: EgressLedger;
  readonly pool: Pick<EnginePool, 'snapshot'>;
  outbox(): LedgerMessage['outbox'];
  /** Null before the first link. */
  clockAheadMs(): number | null;
  send(message: LedgerMessage): void;
  onFailure(reason: string): void;
}

/** Gathers what left this host from whoever sent it, writes it down, and tells the control plane. */
export class Accounts {
  readonly #options: AccountsOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.settle(), EVERY_MS).unref();
  }

  settle(): void {
    this.#settle().catch((error: unknown) => this.#options.onFailure(messageOf(error)));
  }

  async #settle(): Promise<void> {
    const { ledger, pool, outbox, clockAheadMs, send } = this.#options;
    const { processes } = await pool.snapshot();
    for (const { pid, egress = {} } of processes) {
      for (const kind of ['features', 'traces'] as const) {
        const total = egress[kind];
        if (total !== undefined) ledger.seen(String(pid), kind, total);
      }
    }
    const aheadMs = clockAheadMs();
    if (aheadMs !== null) {
      const { sinceMs, egress } = ledger;
      const told = { at: Date.now(), sinceMs, egress, clockAheadMs: aheadMs };
      send({ kind: 'ledger', ...told, outbox: outbox() });
    }
    await ledger.save();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#options.ledger.save();
  }
}
