import { z } from 'zod';
import { fromBase64, toBase64 } from '../../protocol/bytes.ts';
import { ProtocolError } from '../../protocol/error.ts';
import { nameSchema, versionNumberSchema } from '../../protocol/ids.ts';
import { MAX_ROLE_KEYS, MAX_STATEMENT_BYTES } from '../../protocol/limits.ts';
import { keyIdSchema } from '../../protocol/signing.ts';
import { readRelease } from '../../protocol/trust/release.ts';
import { rootFingerprint, rootSchema } from '../../protocol/trust/root.ts';
import { type Signed, signedSchema } from '../../protocol/trust/signed.ts';
import { ControlError } from '../error.ts';
import type { Store } from '../store/database.ts';
import { allVersions, findVersion } from '../store/models.ts';
import { findRelease } from '../store/statements.ts';
import type { Trust } from '../trust/trust.ts';
import { type Api, answers, takes } from './api.ts';

export interface TrustDeps {
  readonly store: Store;
  readonly trust: Trust;
  readonly now: () => number;
}

const trustSchema = z.object({
  root: rootSchema,
  fingerprint: z.string().describe('SHA-256 of the newest root: what new join tokens pin.'),
  managed: z
    .boolean()
    .describe('The release key is on the control plane, and signs what is pushed.'),
  unreleased: z.array(z.object({ model: nameSchema, version: versionNumberSchema })),
});
export type TrustView = z.infer<typeof trustSchema>;

/** A statement in JSON: bytes in base64. */
const statementSchema = z.strictObject({
  payload: z.base64().max(2 * MAX_STATEMENT_BYTES),
  signatures: z
    .array(z.strictObject({ keyId: keyIdSchema, signature: z.base64().max(100) }))
    .min(1)
    .max(MAX_ROLE_KEYS),
});

export type StatementJson = z.infer<typeof statementSchema>;

export function statementJson({ payload, signatures }: Signed): StatementJson {
  return {
    payload: toBase64(payload),
    signatures: signatures.map(({ keyId, signature }) => ({
      keyId,
      signature: toBase64(signature),
    })),
  };
}

export function mountTrust(api: Api, deps: TrustDeps): void {
  const { store, trust } = deps;
  api.route(
    'registry:read',
    {
      method: 'get',
      path: '/api/v1/trust',
      summary: 'Who may say what: the newest root, and versions that wait for a release',
      responses: { 200: answers(trustSchema, 'The root') },
    },
    async (c) => {
      const newest = trust.chain[trust.chain.length - 1];
      const waiting = (await allVersions(store.read)).filter((row) => row.awaitsRelease);
      const unreleased = waiting.map(({ model, version }) => ({ model, version }));
      const { root, managed } = trust;
      const fingerprint = await rootFingerprint(newest);
      return c.json({ root, fingerprint, managed, unreleased }, 200);
    },
  );
  mountReleases(api, deps);
}

function mountReleases(api: Api, { store, trust, now }: TrustDeps): void {
  const params = z.object({
    model: nameSchema,
    version: z.coerce.number().pipe(versionNumberSchema),
  });
  api.route(
    'registry:read',
    {
      method: 'get',
      path: '/api/v1/models/{model}/versions/{version}/release',
      summary: 'What is signed of a version so far: the next to sign signs the same',
      request: { params },
      responses: { 200: answers(statementSchema, 'The release and its signatures') },
    },
    async (c) => {
      const { model, version } = c.req.valid('param');
      const row = await findVersion(store.read, model, version);
      const signed = row === null ? null : await findRelease(store.read, row.manifest);
      if (signed === null) {
        throw new ControlError('not-found', `nobody has signed a release of ${model}@${version}`);
      }
      return c.json(statementJson(signed), 200);
    },
  );
  api.route(
    'registry:write',
    {
      method: 'put',
      path: '/api/v1/models/{model}/versions/{version}/release',
      summary: 'Hand in signatures of release keys over a version; those of several people add up',
      request: { params, body: takes(statementSchema) },
      responses: {
        200: answers(z.object({ complete: z.boolean() }), 'Whether enough keys have signed'),
      },
    },
    async (c) => {
      const { model, version } = c.req.valid('param');
      const signed = signedOf(c.req.valid('json'));
      const release = readable(signed);
      if (release.model !== model || release.version !== version) {
        const told = `the release is of ${release.model}@${release.version}, not of ${model}@${version}`;
        throw new ControlError('invalid', told);
      }
      return c.json(await trust.submit(signed, c.get('caller').actor, now()), 200);
    },
  );
}

function signedOf({ payload, signatures }: z.infer<typeof statementSchema>): Signed {
  const parsed = signedSchema.safeParse({
    payload: fromBase64(payload),
    signatures: signatures.map(({ keyId, signature }) => ({
      keyId,
      signature: fromBase64(signature),
    })),
  });
  if (parsed.success) return parsed.data;
  throw new ControlError('invalid', 'a signature has 64 bytes, and a release at most 32 KiB');
}

function readable(signed: Signed) {
  try {
    return readRelease(signed);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new ControlError('invalid', cause.message, { cause });
  }
}
