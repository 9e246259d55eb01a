import { z } from 'zod';
import {
  digestSchema,
  type Labels,
  labelsSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../ids.ts';
import { MAX_RELEASE_DEPLOYMENTS } from '../limits.ts';
import { keysOf, type Root, readStatement } from './root.ts';
import { isSignedBy, type Signed } from './signed.ts';

/**
 * That a version may run. The digest of its manifest binds every file of it, with digest and size; name and number are
 * bound too, so that no version runs under another's name. Where `deployments` or `labels` are given, it may run only
 * as one of these, and only on hosts that say so themselves (`--label`): what the control plane says of a host is no
 * help against somebody who has the control plane.
 */
export const releaseSchema = z.object({
  schema: z.literal(1),
  model: nameSchema,
  version: versionNumberSchema,
  manifest: digestSchema,
  deployments: z.array(nameSchema).min(1).max(MAX_RELEASE_DEPLOYMENTS).optional(),
  labels: labelsSchema.optional(),
  issuedAt: timestampSchema,
});
export type Release = z.infer<typeof releaseSchema>;

export function encodeRelease(release: Release): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(releaseSchema.parse(release)));
}

/** What it says, without a look at its signatures. Throws `ProtocolError` 'trust'. */
export function readRelease({ payload }: Signed): Release {
  return readStatement('release', releaseSchema, payload);
}

/** Whether the release keys of this root stand behind it. */
export function isReleasedBy(root: Root, signed: Signed): Promise<boolean> {
  return isSignedBy('release', signed, keysOf(root.roles.release));
}

export interface Use {
  readonly deployment: string;
  readonly model: string;
  readonly version: number;
  readonly manifest: string;
}

/** Why a release does not cover this use of a version on a host with these labels of its own; null: it does. */
export function whyNotCovered(release: Release, use: Use, own: Labels): string | null {
  const { model, version, manifest, deployments, labels = {} } = release;
  if (manifest !== use.manifest) return `it is of ${manifest}`;
  if (model !== use.model || version !== use.version) {
    return `it is of ${model}@${version}, not of ${use.model}@${use.version}`;
  }
  if (deployments !== undefined && !deployments.includes(use.deployment)) {
    return `it is for ${deployments.join(', ')}, not for "${use.deployment}"`;
  }
  const missing = Object.entries(labels).find(([key, value]) => own[key] !== value);
  if (missing === undefined) return null;
  return `it is for hosts with --label ${missing.join('=')}, which this one does not have`;
}
