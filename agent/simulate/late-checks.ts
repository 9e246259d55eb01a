/**
 * Checks that agents put off while acknowledgements are timed. Each host of a real fleet verifies its document on a core of
 * its own; here thousands share one, and the last would be timed with the checks of all others before it. Nothing is left
 * out: what was put off is done afterwards, and a check that fails fails the run.
 */
export class LateChecks {
  #putOff: (() => Promise<void>)[] | null = null;

  /** From now on checks wait for `release`. */
  hold(): void {
    this.#putOff ??= [];
  }

  /** Whether the check waits for `release`; if not, it is for the caller to do now. */
  putOff(check: () => Promise<void>): boolean {
    if (this.#putOff === null) return false;
    this.#putOff.push(check);
    return true;
  }

  /** Does what was put off, in its order. How many that were. */
  async release(): Promise<number> {
    const checks = this.#putOff ?? [];
    this.#putOff = null;
    for (const check of checks) await check();
    return checks.length;
  }
}
