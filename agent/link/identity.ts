import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { agentIdSchema } from '../../protocol/ids.ts';
import {
  generateSigningKey,
  importSigningKey,
  privateJwkSchema,
  type SigningKey,
} from '../../protocol/signing.ts';
import { AgentError } from '../error.ts';
import { writeFileAtomically } from '../store/atomic-file.ts';

const fileSchema = z.object({
  schema: z.literal(1),
  key: privateJwkSchema,
  /** Null until the control plane has admitted this key. */
  agent: agentIdSchema.nullable(),
  /** The control plane's public key in hex, pinned at the first join. */
  controlKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
});
type IdentityFile = z.infer<typeof fileSchema>;

/** Who this host is, kept in one file that only its owner can read. */
export class Identity {
  readonly key: SigningKey;
  readonly #path: string;
  #file: IdentityFile;

  private constructor(path: string, file: IdentityFile, key: SigningKey) {
    this.#path = path;
    this.#file = file;
    this.key = key;
  }

  /** Reads the identity, or makes a key on the first start. Throws `AgentError` 'identity'. */
  static async load(folder: string): Promise<Identity> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'identity.json');
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null) {
      const { key, jwk } = await generateSigningKey();
      const identity = new Identity(
        path,
        { schema: 1, key: jwk, agent: null, controlKey: null },
        key,
      );
      await identity.#save();
      return identity;
    }
    try {
      const file = fileSchema.parse(JSON.parse(text));
      return new Identity(path, file, await importSigningKey(file.key));
    } catch (cause) {
      throw new AgentError(
        'identity',
        `${path} is not a valid identity; restore it, or remove it and join again with a new token`,
        { cause },
      );
    }
  }

  get agent(): string | null {
    return this.#file.agent;
  }

  get controlKey(): Uint8Array | null {
    return this.#file.controlKey === null ? null : Buffer.from(this.#file.controlKey, 'hex');
  }

  async admitted(agent: string, controlKey: Uint8Array): Promise<void> {
    const hex = Buffer.from(controlKey).toString('hex');
    if (this.#file.agent === agent && this.#file.controlKey === hex) return;
    this.#file = { ...this.#file, agent, controlKey: hex };
    await this.#save();
  }

  async #save(): Promise<void> {
    await writeFileAtomically(this.#path, `${JSON.stringify(this.#file, null, 2)}\n`);
  }
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
