/** Past 2^31 ms a timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Tells when the document in force expires: somebody withholds newer ones, or the control plane is away. */
export class ExpiryWatch {
  readonly #onExpired: (detail: string) => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(onExpired: (detail: string) => void) {
    this.#onExpired = onExpired;
  }

  /** This document is in force. */
  follow({ expiresAt }: { readonly expiresAt: number }): void {
    this.stop();
    const waitMs = Math.min(Math.max(expiresAt - Date.now(), 0), MAX_TIMER_MS);
    this.#timer = setTimeout(() => {
      const at = new Date(expiresAt).toISOString();
      this.#onExpired(
        `STALE: the desired state expired at ${at}; what runs goes on, and nothing new is installed`,
      );
    }, waitMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
