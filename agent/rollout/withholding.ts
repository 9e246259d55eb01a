import type { DesiredState } from '../../protocol/desired.ts';

/** Names that are remembered after their deployment has left: its last windows still come. */
const MAX_REMEMBERED = 1_024;

/** Which deployments keep their outcomes on this host, each by the newest document that named it. */
export class Withholding {
  readonly #withheld = new Map<string, boolean>();

  follow({ deployments }: Pick<DesiredState, 'deployments'>): void {
    for (const { name, withheld = [] } of deployments) {
      // Put anew, so that the first of the map is the one that has not been named for longest.
      this.#withheld.delete(name);
      this.#withheld.set(name, withheld.includes('outcomes'));
    }
    for (const name of this.#withheld.keys()) {
      if (this.#withheld.size <= MAX_REMEMBERED) return;
      this.#withheld.delete(name);
    }
  }

  keeps(deployment: string): boolean {
    return this.#withheld.get(deployment) ?? false;
  }
}
