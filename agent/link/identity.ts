import { isEqual, toHex } from '../../protocol/bytes.ts';
import { rotationTranscript } from '../../protocol/handshake.ts';
import type { Rotation } from '../../protocol/hello.ts';
import { type SigningKey, signBytes } from '../../protocol/signing.ts';
import { AgentError } from '../error.ts';

/** Who a host is, as it is kept between two starts. */
export interface IdentityRecord {
  readonly key: SigningKey;
  /** Null until the control plane has admitted this key. */
  readonly agent: string | null;
  /** The control plane's public key, pinned at the first join. */
  readonly controlKey: Uint8Array | null;
  /** A key on its way in: made, and not known to be taken by the control plane. */
  readonly next: SigningKey | null;
  /** How the key before this one handed over, for a control plane that was put back to a time before it. */
  readonly rotation: Rotation | null;
}

/** Where it is kept: a file that only its owner can read, or a database of a browser. */
export interface IdentityStore {
  /** Null: nothing was ever kept here. Throws `AgentError` 'identity' on what is no identity. */
  read(): Promise<IdentityRecord | null>;
  /** Resolves once it is there after a crash too. */
  write(record: IdentityRecord): Promise<void>;
  /** A key of the kind that this store can keep. */
  newKey(): Promise<SigningKey>;
}

/**
 * Who this host is.
 *
 *     key ──prepareRotation──▶ key + next ──admitted with next──▶ next, and how key handed over to it
 *
 * From the moment there is a next key, every hello shows it together with what the present key signs for it. Whether a
 * crash came before or after the control plane took it, that same hello is right.
 */
export class Identity {
  readonly #store: IdentityStore;
  #record: IdentityRecord;

  private constructor(store: IdentityStore, record: IdentityRecord) {
    this.#store = store;
    this.#record = record;
  }

  /** Reads the identity, or makes a key on the first start. Throws `AgentError` 'identity'. */
  static async load(store: IdentityStore): Promise<Identity> {
    const kept = await store.read();
    if (kept !== null) return new Identity(store, kept);
    const joined = { agent: null, controlKey: null, next: null, rotation: null };
    const identity = new Identity(store, { key: await store.newKey(), ...joined });
    await store.write(identity.#record);
    return identity;
  }

  /** The key that a hello shows. */
  get key(): SigningKey {
    return this.#record.next ?? this.#record.key;
  }

  /** Makes the next key, or gives the one that is on its way. Throws `AgentError` 'identity' before the first join. */
  async prepareRotation(): Promise<SigningKey> {
    const { agent, next } = this.#record;
    if (agent === null) {
      throw new AgentError('identity', 'this host has not joined: there is no key to rotate');
    }
    if (next !== null) return next;
    const key = await this.#store.newKey();
    await this.#keep({ ...this.#record, next: key });
    return key;
  }

  /** How a former key handed over to the one that a hello shows; null: there is no former key. */
  async rotation(): Promise<Rotation | null> {
    const { agent, key, next, rotation } = this.#record;
    if (next === null || agent === null) return rotation;
    const transcript = rotationTranscript(agent, key.publicKey, next.publicKey);
    return { previousKey: key.publicKey, signature: await signBytes(key, transcript) };
  }

  get agent(): string | null {
    return this.#record.agent;
  }

  get controlKey(): Uint8Array | null {
    return this.#record.controlKey;
  }

  /** The control plane of this key knows the agent by the key of its hello. */
  async admitted(agent: string, controlKey: Uint8Array): Promise<void> {
    const { key, next, agent: before, controlKey: pinned } = this.#record;
    const isPinned = pinned !== null && isEqual(pinned, controlKey);
    if (before === agent && isPinned && next === null) return;
    const rotation = await this.rotation();
    await this.#keep({ key: next ?? key, next: null, rotation, agent, controlKey });
  }

  async #keep(record: IdentityRecord): Promise<void> {
    await this.#store.write(record);
    this.#record = record;
  }
}

/** One start of this host. */
export function newBoot(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(8)));
}

const JOIN_TOKEN = /^dlj_[0-9a-f]{8}_[0-9a-f]{64}_([0-9a-f]{32})$/;

/** The fingerprint inside a join token: which control plane the token's giver meant. Throws `AgentError` 'configuration'. */
export function pinnedFingerprint(joinToken: string): string {
  const match = JOIN_TOKEN.exec(joinToken);
  if (match === null) {
    throw new AgentError(
      'configuration',
      'the join token is not of the form dlj_<id>_<secret>_<fingerprint>; make one with "driftline join-token"',
    );
  }
  return match[1];
}
