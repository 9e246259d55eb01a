import { MAX_WINDOW_BYTES } from '../../protocol/limits.ts';
import { withoutOutcomes } from '../../protocol/sketch/withhold.ts';
import type { WindowMessage } from '../engine/messages.ts';
import { messageOf } from '../error.ts';
import type { Outbox } from './outbox.ts';
import { SendSlot } from './send-slot.ts';

export interface WindowKeeperOptions {
  readonly outbox: Outbox;
  /** How far this host's clock is ahead of the control plane's; null before the first link. */
  clockAheadMs(): number | null;
  /** Whether the outcomes of a deployment stay on this host. */
  withholds(deployment: string): boolean;
  /** What is in the outbox is to be sent. */
  onDue(): void;
  /** Windows were lost. */
  onLost(detail: string): void;
  /** The outbox was full: windows were added up, and none of their counts is lost. */
  onCoarsened(detail: string): void;
  log(level: 'warn' | 'error', message: string, detail: object): void;
}

/** Brings windows of the engines to the disk, from where the link takes them. */
export class WindowKeeper {
  readonly #options: WindowKeeperOptions;
  readonly #slot: SendSlot;
  #inFlight: Promise<unknown> = Promise.resolve();

  constructor(options: WindowKeeperOptions) {
    this.#options = options;
    this.#slot = new SendSlot(() => options.onDue());
  }

  keep(came: WindowMessage): void {
    const { outbox, log, onLost, onCoarsened } = this.#options;
    const window = this.#allowed(came);
    if (window === null) return;
    const { kind: _, ...telemetry } = window;
    if (window.body.length > MAX_WINDOW_BYTES) {
      // Sent, it would break the link, and be sent again at each new one.
      const detail = `a window of ${window.body.length} bytes exceeds the ${MAX_WINDOW_BYTES} of the link: watch fewer features of "${window.deployment}"`;
      log('error', 'window dropped', { deployment: window.deployment, detail });
      onLost(detail);
      return;
    }
    const before = { dropped: outbox.dropped, coarsened: outbox.coarsened };
    const clockAheadMs = this.#options.clockAheadMs();
    const kept = outbox.append({ ...telemetry, clockAheadMs }).then(
      () => {
        const dropped = outbox.dropped - before.dropped;
        const coarsened = outbox.coarsened - before.coarsened;
        if (dropped > 0) onLost(`${dropped} oldest windows dropped: the outbox is full`);
        if (coarsened > 0) onCoarsened(`${coarsened} windows became parts of coarser ones`);
        this.#slot.ended(telemetry.windowMs);
      },
      (error: unknown) => log('error', 'could not keep a window', { reason: messageOf(error) }),
    );
    this.#inFlight = Promise.all([this.#inFlight, kept]);
  }

  /** What of a window may leave this host; null: nothing. Before the disk, from where it would go out as it is. */
  #allowed(window: WindowMessage): WindowMessage | null {
    if (!this.#options.withholds(window.deployment)) return window;
    const { body, isEmpty } = withoutOutcomes(window.body);
    return isEmpty ? null : { ...window, body };
  }

  /** Resolves when every window so far is on disk, or known not to be, and what was to be sent is due. */
  async settled(): Promise<void> {
    await this.#inFlight;
    this.#slot.now();
  }
}
