import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toHex } from '../../protocol/bytes.ts';
import { rotationTranscript } from '../../protocol/handshake.ts';
import type { Rotation } from '../../protocol/hello.ts';
import { agentIdSchema } from '../../protocol/ids.ts';
import {
  generateSigningKey,
  importSigningKey,
  privateJwkSchema,
  type SigningKey,
  signBytes,
} from '../../protocol/signing.ts';
import { AgentError } from '../error.ts';
import { readTextIfAny, writeFileAtomically } from '../store/atomic-file.ts';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));

const fileSchema = z.object({
  schema: z.literal(1),
  key: privateJwkSchema,
  /** Null until the control plane has admitted this key. */
  agent: agentIdSchema.nullable(),
  /** The control plane's public key in hex, pinned at the first join. */
  controlKey: hex(32).nullable(),
  /** A key on its way in: made, and not known to be taken by the control plane. */
  next: privateJwkSchema.nullable().default(null),
  /** How the key before this one handed over, for a control plane that was put back to a time before it. */
  rotation: z
    .object({ previousKey: hex(32), signature: hex(64) })
    .nullable()
    .default(null),
});
type IdentityFile = z.infer<typeof fileSchema>;

/**
 * Who this host is, kept in one file that only its owner can read.
 *
 *     key ──prepareRotation──▶ key + next ──admitted with next──▶ next, and how key handed over to it
 *
 * From the moment there is a next key, every hello shows it together with what the present key signs for it. Whether a
 * crash came before or after the control plane took it, that same hello is right.
 */
export class Identity {
  readonly #path: string;
  #file: IdentityFile;
  #key: SigningKey;
  #next: SigningKey | null;

  private constructor(path: string, file: IdentityFile, key: SigningKey, next: SigningKey | null) {
    this.#path = path;
    this.#file = file;
    this.#key = key;
    this.#next = next;
  }

  /** Reads the identity, or makes a key on the first start. Throws `AgentError` 'identity'. */
  static async load(folder: string): Promise<Identity> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'identity.json');
    const text = await readTextIfAny(path);
    if (text === null) {
      const { key, jwk } = await generateSigningKey();
      const joined = { agent: null, controlKey: null, next: null, rotation: null };
      const identity = new Identity(path, { schema: 1, key: jwk, ...joined }, key, null);
      await identity.#save();
      return identity;
    }
    try {
      const file = fileSchema.parse(JSON.parse(text));
      const next = file.next === null ? null : await importSigningKey(file.next);
      return new Identity(path, file, await importSigningKey(file.key), next);
    } catch (cause) {
      throw new AgentError(
        'identity',
        `${path} is not a valid identity; restore it, or remove it and join again with a new token`,
        { cause },
      );
    }
  }

  /** The key that a hello shows. */
  get key(): SigningKey {
    return this.#next ?? this.#key;
  }

  /** Makes the next key, or gives the one that is on its way. Throws `AgentError` 'identity' before the first join. */
  async prepareRotation(): Promise<SigningKey> {
    if (this.agent === null) {
      throw new AgentError('identity', 'this host has not joined: there is no key to rotate');
    }
    if (this.#next !== null) return this.#next;
    const { key, jwk } = await generateSigningKey();
    this.#file = { ...this.#file, next: jwk };
    await this.#save();
    this.#next = key;
    return key;
  }

  /** How a former key handed over to the one that a hello shows; null: there is no former key. */
  async rotation(): Promise<Rotation | null> {
    const { agent, rotation } = this.#file;
    if (this.#next !== null && agent !== null) {
      const { publicKey: previousKey } = this.#key;
      const transcript = rotationTranscript(agent, previousKey, this.#next.publicKey);
      return { previousKey, signature: await signBytes(this.#key, transcript) };
    }
    if (rotation === null) return null;
    const { previousKey, signature } = rotation;
    return { previousKey: fromHex(previousKey), signature: fromHex(signature) };
  }

  get agent(): string | null {
    return this.#file.agent;
  }

  get controlKey(): Uint8Array | null {
    return this.#file.controlKey === null ? null : fromHex(this.#file.controlKey);
  }

  /** The control plane of this key knows the agent by the key of its hello. */
  async admitted(agent: string, controlKey: Uint8Array): Promise<void> {
    const hex = toHex(controlKey);
    const { next } = this.#file;
    if (this.#file.agent === agent && this.#file.controlKey === hex && next === null) return;
    const handed = await this.rotation();
    const rotation =
      handed === null
        ? null
        : { previousKey: toHex(handed.previousKey), signature: toHex(handed.signature) };
    const key = next ?? this.#file.key;
    this.#file = { ...this.#file, key, next: null, rotation, agent, controlKey: hex };
    await this.#save();
    this.#key = this.key;
    this.#next = null;
  }

  async #save(): Promise<void> {
    await writeFileAtomically(this.#path, `${JSON.stringify(this.#file, null, 2)}\n`);
  }
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** One start of this supervisor. */
export function newBoot(): string {
  return randomBytes(8).toString('hex');
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
