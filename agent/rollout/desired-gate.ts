import { isEqual, toHex } from '../../protocol/bytes.ts';
import type { DesiredMessage, DesiredState } from '../../protocol/desired.ts';
import { ProtocolError } from '../../protocol/error.ts';
import type { Digest, Labels } from '../../protocol/ids.ts';
import type { LeaseMessage, Renewal } from '../../protocol/lease.ts';
import { MAX_GENERATION_STEP } from '../../protocol/limits.ts';
import type { Envelope } from '../../protocol/signing.ts';
import {
  isReleasedBy,
  type Release,
  readRelease,
  whyNotCovered,
} from '../../protocol/trust/release.ts';
import type { Root } from '../../protocol/trust/root.ts';
import type { Signed } from '../../protocol/trust/signed.ts';
import { openDesired, openRenewal } from './desired-document.ts';
import type { DesiredStore } from './desired-store.ts';
import { type RefusedVersion, versionsOf } from './serving-plan.ts';

/** What the gate asks of the roots that the link follows. */
export interface TrustView {
  readonly root: Root | null;
  readonly onlineKeys: readonly Uint8Array[];
}

/** A use of a version that no release covers. */
export interface Unreleased extends RefusedVersion {
  readonly deployment: string;
  readonly manifest: Digest;
}

/** A document to carry out, and what of it nobody with release keys stands behind. */
export interface Accepted {
  readonly desired: DesiredState;
  readonly unreleased: readonly Unreleased[];
}

/** `saved`: a rollback does not wait for the disk; what comes next does. */
export interface Taken {
  readonly accepted: Accepted;
  readonly saved: Promise<void>;
}

/** Where the document in force is kept, and what is proof of a lie. */
export type DocumentStore = Pick<DesiredStore, 'loadDesired' | 'saveDesired' | 'keepEvidence'>;

export interface DesiredGateOptions {
  readonly store: DocumentStore;
  readonly trust: TrustView;
  agent(): string | null;
  /** What this host says of itself: what releases may ask for. */
  readonly labels: Labels;
  readonly now?: () => number;
}

interface Held {
  readonly envelope: Envelope;
  readonly desired: DesiredState;
  /** The online key that signed it. */
  readonly key: Uint8Array;
  /** All good, and of versions that the document names. */
  readonly releases: readonly GoodRelease[];
}

interface GoodRelease {
  readonly signed: Signed;
  readonly release: Release;
}

/** Two documents of one generation, both signed by an online key: proof that the key says different things. */
export class Equivocation extends Error {}

/** What comes between the wire and the engines: which documents this host follows, and which versions of them. */
export class DesiredGate {
  readonly #options: DesiredGateOptions;
  #held: Held | null = null;

  constructor(options: DesiredGateOptions) {
    this.#options = options;
  }

  /** The document on this host's disk, expired or not; null: there is none. Throws when no online key signed it. */
  async restore(): Promise<Accepted | null> {
    const stored = await this.#options.store.loadDesired();
    if (stored === null || this.#options.trust.root === null) return null;
    const { desired, key } = await this.#open(stored.envelope);
    const releases = await this.#goodOf(stored.releases, desired);
    this.#held = { envelope: stored.envelope, desired, key, releases };
    return this.#accepted(this.#held);
  }

  /**
   * Verifies a document and has it kept. Null: it is the one that is held. Throws `ProtocolError` or `Error` for one that
   * this host does not follow, `Equivocation` with the evidence on disk.
   */
  async take({ envelope, releases = [] }: DesiredMessage): Promise<Taken | null> {
    const opened = await this.#open(envelope);
    const { desired, key } = opened;
    const held = this.#heldByRoot();
    const floor = held?.desired.generation ?? 0;
    const { generation } = desired;
    if (generation < floor) {
      throw new Error(
        `generation ${generation} is older than ${floor}, which this host has accepted`,
      );
    }
    // A release holds whoever brings it: what runs here needs no new one.
    const known = (this.#held?.releases ?? []).map(({ signed }) => signed);
    const good = await this.#goodOf([...known, ...releases], desired);
    const next: Held = { envelope, desired, key, releases: good };
    if (held !== null && generation === floor) return this.#again(held, next);
    this.#checkNew(desired, floor);
    checkUses(this.#accepted(next));
    return this.#keep(next);
  }

  /** What a renewal of leases says. Throws `ProtocolError` for one that no online key signed for this host. */
  async renewal({ envelope }: LeaseMessage): Promise<Renewal> {
    const agent = this.#options.agent();
    if (agent === null) throw new ProtocolError('trust', 'this host has not joined');
    return openRenewal(envelope, this.#options.trust.onlineKeys, agent);
  }

  /** What was accepted, unless the key that signed it is revoked: a new root with a new online key begins anew. */
  #heldByRoot(): Held | null {
    const held = this.#held;
    if (held === null) return null;
    const online = this.#options.trust.onlineKeys;
    return online.some((key) => isEqual(key, held.key)) ? held : null;
  }

  #checkNew({ generation, expiresAt }: DesiredState, floor: number): void {
    if (generation - floor > MAX_GENERATION_STEP) {
      throw new Error(
        `generation ${generation} is ${generation - floor} above ${floor}, and at most ${MAX_GENERATION_STEP} is followed: rotate the online key to begin anew`,
      );
    }
    const now = (this.#options.now ?? Date.now)();
    if (expiresAt < now) {
      throw new Error(`generation ${generation} expired at ${new Date(expiresAt).toISOString()}`);
    }
    const root = this.#options.trust.root;
    if (root !== null && root.expiresAt < now) {
      const at = new Date(root.expiresAt).toISOString();
      throw new Error(`root ${root.version} expired at ${at}: nothing new is followed under it`);
    }
  }

  /** The same document again may bring a release that was missing; another one of its generation is a lie. */
  async #again(held: Held, next: Held): Promise<Taken | null> {
    if (!isEqual(held.envelope.payload, next.envelope.payload)) {
      const { generation } = held.desired;
      const path = await this.#options.store.keepEvidence(generation, [
        held.envelope,
        next.envelope,
      ]);
      throw new Equivocation(
        `two documents of generation ${generation} are signed, by online keys ${held.envelope.keyId} and ${next.envelope.keyId}; both are in ${path}`,
      );
    }
    return next.releases.length === held.releases.length ? null : this.#keep(next);
  }

  #keep(next: Held): Taken {
    this.#held = next;
    const releases = next.releases.map(({ signed }) => signed);
    const saved = this.#options.store.saveDesired({ envelope: next.envelope, releases });
    return { accepted: this.#accepted(next), saved };
  }

  #open(envelope: Envelope): ReturnType<typeof openDesired> {
    const agent = this.#options.agent();
    if (agent === null) throw new ProtocolError('trust', 'this host has not joined');
    return openDesired(envelope, this.#options.trust.onlineKeys, agent);
  }

  /** Once each, those of versions that the document names and that the root's release keys stand behind. */
  async #goodOf(releases: readonly Signed[], desired: DesiredState): Promise<GoodRelease[]> {
    const { root } = this.#options.trust;
    const named = new Set(versionsOf(desired));
    const good = new Map<string, GoodRelease>();
    for (const signed of releases) {
      const statement = toHex(signed.payload);
      const release = good.has(statement) ? null : readableRelease(signed);
      if (root === null || release === null || !named.has(release.manifest)) continue;
      if (await isReleasedBy(root, signed)) good.set(statement, { signed, release });
    }
    return [...good.values()];
  }

  #accepted({ desired, releases }: Held): Accepted {
    const unreleased = desired.deployments.flatMap(({ name: deployment, arms }) =>
      arms.flatMap(({ model, version, manifest }): Unreleased[] => {
        const use = { deployment, model, version, manifest };
        const whys = releases
          .filter(({ release }) => release.manifest === manifest)
          .map(({ release }) => whyNotCovered(release, use, this.#options.labels));
        if (whys.includes(null)) return [];
        const why = whys.join('; ') || 'no release by the keys of its root came with it';
        const detail = `${model}@${version} as "${deployment}" is not released for this host: ${why}`;
        return [{ deployment, manifest, code: 'not-released', detail }];
      }),
    );
    return { desired, unreleased };
  }
}

/** Refused as a whole: a version that may run as one deployment is not to be taken from it by way of another. */
function checkUses({ desired, unreleased }: Accepted): void {
  for (const { deployment, manifest, detail } of unreleased) {
    const other = desired.deployments.find(
      ({ name, arms }) =>
        arms.some((arm) => arm.manifest === manifest) &&
        !unreleased.some((each) => each.manifest === manifest && each.deployment === name),
    );
    if (other === undefined) continue;
    throw new Error(`${detail}; it is as "${other.name}", and not as "${deployment}" beside that`);
  }
}

/** Null for bytes that are no release: nobody vouches for what comes beside a document. */
function readableRelease(signed: Signed): Release | null {
  try {
    return readRelease(signed);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
