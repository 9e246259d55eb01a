import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fromHex, toHex } from '../../protocol/bytes.ts';
import { agentIdSchema } from '../../protocol/ids.ts';
import {
  exportSigningKey,
  importSigningKey,
  newSigningKey,
  privateJwkSchema,
  type SigningKey,
} from '../../protocol/signing.ts';
import { AgentError } from '../error.ts';
import { readTextIfAny, writeFileAtomically } from '../store/atomic-file.ts';
import { Identity, type IdentityRecord, type IdentityStore } from './identity.ts';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));

const fileSchema = z.object({
  schema: z.literal(1),
  key: privateJwkSchema,
  agent: agentIdSchema.nullable(),
  controlKey: hex(32).nullable(),
  // An older build knew no rotation.
  next: privateJwkSchema.nullable().default(null),
  rotation: z
    .object({ previousKey: hex(32), signature: hex(64) })
    .nullable()
    .default(null),
});
type IdentityFile = z.infer<typeof fileSchema>;

/** Reads the identity of the host whose data is in `folder`, or makes it. Throws `AgentError` 'identity'. */
export async function loadIdentity(folder: string): Promise<Identity> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return Identity.load(new IdentityFileStore(join(folder, 'identity.json')));
}

/** One file that only its owner can read. Its keys can be exported, for that is how they come into the file. */
class IdentityFileStore implements IdentityStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<IdentityRecord | null> {
    const text = await readTextIfAny(this.#path);
    if (text === null) return null;
    try {
      return await recordOf(fileSchema.parse(JSON.parse(text)));
    } catch (cause) {
      throw new AgentError(
        'identity',
        `${this.#path} is not a valid identity; restore it, or remove it and join again with a new token`,
        { cause },
      );
    }
  }

  async write({ key, agent, controlKey, next, rotation }: IdentityRecord): Promise<void> {
    const file: IdentityFile = {
      schema: 1,
      key: await exportSigningKey(key),
      agent,
      controlKey: controlKey === null ? null : toHex(controlKey),
      next: next === null ? null : await exportSigningKey(next),
      rotation:
        rotation === null
          ? null
          : {
              previousKey: toHex(rotation.previousKey),
              signature: toHex(rotation.signature),
            },
    };
    await writeFileAtomically(this.#path, `${JSON.stringify(file, null, 2)}\n`);
  }

  newKey(): Promise<SigningKey> {
    return newSigningKey(true);
  }
}

async function recordOf(file: IdentityFile): Promise<IdentityRecord> {
  const { key, agent, controlKey, next, rotation } = file;
  return {
    key: await importSigningKey(key, true),
    agent,
    controlKey: controlKey === null ? null : fromHex(controlKey),
    next: next === null ? null : await importSigningKey(next, true),
    rotation:
      rotation === null
        ? null
        : {
            previousKey: fromHex(rotation.previousKey),
            signature: fromHex(rotation.signature),
          },
  };
}
