import { MAX_WINDOW_BYTES } from '../../protocol/limits.ts';
import type { WindowMessage } from '../engine/messages.ts';
import { messageOf } from '../error.ts';
import type { Outbox } from './outbox.ts';

export interface WindowKeeperOptions {
  readonly outbox: Outbox;
  /** Something is new in the outbox. */
  onKept(): void;
  /** Windows were lost. */
  onLost(detail: string): void;
  log(level: 'warn' | 'error', message: string, detail: object): void;
}

/** Brings windows of the engines to the disk, from where the link takes them. */
export class WindowKeeper {
  readonly #options: WindowKeeperOptions;
  #inFlight: Promise<unknown> = Promise.resolve();

  constructor(options: WindowKeeperOptions) {
    this.#options = options;
  }

  keep(window: WindowMessage): void {
    const { outbox, log, onLost, onKept } = this.#options;
    const { kind: _, ...telemetry } = window;
    if (window.body.length > MAX_WINDOW_BYTES) {
      // Sent, it would break the link, and be sent again at each new one.
      const detail = `a window of ${window.body.length} bytes exceeds the ${MAX_WINDOW_BYTES} of the link: watch fewer features of "${window.deployment}"`;
      log('error', 'window dropped', { deployment: window.deployment, detail });
      onLost(detail);
      return;
    }
    const droppedBefore = outbox.dropped;
    const kept = outbox.append(telemetry).then(
      () => {
        const dropped = outbox.dropped - droppedBefore;
        if (dropped > 0) {
          log('warn', 'the outbox is full: oldest windows dropped', { dropped });
          onLost(`${dropped} oldest windows dropped`);
        }
        onKept();
      },
      (error: unknown) => log('error', 'could not keep a window', { reason: messageOf(error) }),
    );
    this.#inFlight = Promise.all([this.#inFlight, kept]);
  }

  /** Resolves when every window so far is on disk, or known not to be. */
  async settled(): Promise<void> {
    await this.#inFlight;
  }
}
