import type { Digest } from '../../protocol/ids.ts';
import { MAX_ROOTS } from '../../protocol/limits.ts';
import { keyIdOf, type SigningKey } from '../../protocol/signing.ts';
import {
  encodeRelease,
  isReleasedBy,
  type Release,
  readRelease,
} from '../../protocol/trust/release.ts';
import { followRoots, hasKey, keysOf, type Root, verifyAnchor } from '../../protocol/trust/root.ts';
import { addSignatures, isSignedBy, type Signed } from '../../protocol/trust/signed.ts';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Store } from '../store/database.ts';
import { allVersions, findVersion, type VersionRow } from '../store/models.ts';
import { findKey, loadSigningKey, promoteSigningKey } from '../store/signing-key.ts';
import {
  allReleases,
  allRoots,
  findRelease,
  putRelease,
  setAwaitsRelease,
} from '../store/statements.ts';
import { makeFirstRoot } from './ceremony.ts';

/**
 * What agents trust this control plane by: the chain of roots, the online key and the releases.
 *
 * At the first start it makes all keys itself and signs what is pushed (`managed`). Once the files of root and release
 * keys are gone from its folder, it can't sign a release any more, and nobody who takes it over can: versions wait for
 * `driftline keys sign-release`.
 */
export class Trust {
  readonly online: SigningKey;
  readonly chain: readonly Signed[];
  readonly root: Root;
  readonly #store: Store;
  readonly #release: SigningKey | null;
  readonly #releases: Map<Digest, Signed>;

  private constructor(
    store: Store,
    online: SigningKey,
    roots: { readonly chain: readonly Signed[]; readonly root: Root },
    release: SigningKey | null,
    releases: Map<Digest, Signed>,
  ) {
    this.#store = store;
    this.online = online;
    this.chain = roots.chain;
    this.root = roots.root;
    this.#release = release;
    this.#releases = releases;
  }

  /** Throws when the folder's online key is not one of the newest root. */
  static async open(store: Store, dataDir: string, now: number): Promise<Trust> {
    let all = await allRoots(store.read);
    if (all.length === 0) {
      all = [await makeFirstRoot(store, dataDir, await loadSigningKey(dataDir), now)];
    }
    const root = await newestRoot(all);
    const next = await findKey(dataDir, 'next-signing');
    // A rotation that was cut short after its root was published ends here.
    if (next !== null && hasKey(root.roles.online, next.publicKey)) {
      await promoteSigningKey(dataDir);
    }
    const online = await loadSigningKey(dataDir);
    if (!hasKey(root.roles.online, online.publicKey)) {
      throw new Error(
        `signing-key.json in ${dataDir} is key ${online.keyId}, which root ${root.version} does not name as online: put the right file back, or run "driftline keys rotate-online"`,
      );
    }
    const { release } = root.roles;
    const key = await findKey(dataDir, 'release');
    const managed = key !== null && hasKey(release, key.publicKey) && release.threshold === 1;
    const roots = { chain: all.slice(-MAX_ROOTS), root };
    const signs = managed ? key : null;
    const trust = new Trust(store, online, roots, signs, await releasesBy(root, store));
    for (const row of await allVersions(store.read)) await trust.#settle(row, now);
    return trust;
  }

  /** Whether versions are released by themselves as they are pushed. */
  get managed(): boolean {
    return this.#release !== null;
  }

  /** The releases of these versions, of those that are released. */
  releasesOf(manifests: Iterable<Digest>): Signed[] {
    return [...new Set(manifests)].flatMap((manifest) => this.#releases.get(manifest) ?? []);
  }

  /** A version that was just pushed: signed where the key is here, and marked as waiting where it is not. */
  async pushed(row: VersionRow, now: number): Promise<void> {
    await this.#settle(row, now);
  }

  async #settle(row: VersionRow, now: number): Promise<void> {
    const { manifest, model, version, awaitsRelease } = row;
    if (this.#releases.has(manifest)) {
      if (awaitsRelease) await this.#store.write((tx) => setAwaitsRelease(tx, manifest, false));
      return;
    }
    if (this.#release === null) {
      if (!awaitsRelease) await this.#store.write((tx) => setAwaitsRelease(tx, manifest, true));
      return;
    }
    const release: Release = { schema: 1, model, version, manifest, issuedAt: now };
    const unsigned = { payload: encodeRelease(release), signatures: [] };
    const signed = await addSignatures('release', unsigned, [this.#release]);
    await this.#store.write((tx) => putRelease(tx, manifest, signed, true, now));
    this.#releases.set(manifest, signed);
  }

  /** Without signatures of anybody else: they would be kept, and travel to every agent. */
  async #byReleaseKeys({ payload, signatures }: Signed): Promise<Signed> {
    const kept: Signed['signatures'] = [];
    for (const key of keysOf(this.root.roles.release).keys) {
      const keyId = await keyIdOf(key);
      for (const { signature } of signatures) {
        const alone = { payload, signatures: [{ keyId, signature }] };
        if (!(await isSignedBy('release', alone, { keys: [key], threshold: 1 }))) continue;
        kept.push({ keyId, signature });
        break;
      }
    }
    return { payload, signatures: kept };
  }

  /**
   * Takes the signatures of somebody who has release keys; together with those that are here. Returns how many keys
   * are still missing. Throws `ControlError` 'not-found' or 'invalid'.
   */
  async submit(signed: Signed, actor: Actor, now: number): Promise<{ complete: boolean }> {
    const release = readRelease(signed);
    const { model, version, manifest } = release;
    const result = await this.#store.write(async (tx) => {
      const row = await findVersion(tx, model, version);
      if (row === null || row.manifest !== manifest) {
        throw new ControlError('not-found', `there is no ${model}@${version} of ${manifest}`);
      }
      const before = await findRelease(tx, manifest);
      const merged = mergeSignatures(before, await this.#byReleaseKeys(signed));
      const complete = await isReleasedBy(this.root, merged);
      if (!complete && before !== null && (await isReleasedBy(this.root, before))) {
        throw new ControlError(
          'conflict',
          `${model}@${version} is released, and what was handed in is not signed by enough release keys to take its place`,
        );
      }
      await putRelease(tx, manifest, merged, complete, now);
      const keys = merged.signatures.map(({ keyId }) => keyId);
      const subject = `version:${model}@${version}`;
      await record(tx, now, actor, 'version.release-signed', subject, { manifest, keys, complete });
      return { merged, complete };
    });
    if (result.complete) this.#releases.set(manifest, result.merged);
    return { complete: result.complete };
  }
}

/** The newest root of a chain whose every step holds. Throws `ProtocolError` 'trust'. */
export async function newestRoot(chain: readonly Signed[]): Promise<Root> {
  const [first] = chain;
  const anchor = { root: await verifyAnchor(first), signed: first };
  return (await followRoots(anchor, chain)).root;
}

/** Of the releases that are kept, those that this root stands behind. */
async function releasesBy(root: Root, store: Store): Promise<Map<Digest, Signed>> {
  const kept = new Map<Digest, Signed>();
  for (const [manifest, signed] of await allReleases(store.read)) {
    if (await isReleasedBy(root, signed)) kept.set(manifest, signed);
  }
  return kept;
}

/** Signatures of the same statement add up; another statement begins anew. */
function mergeSignatures(before: Signed | null, came: Signed): Signed {
  if (before === null || !Buffer.from(before.payload).equals(came.payload)) return came;
  const others = before.signatures.filter(
    ({ keyId }) => !came.signatures.some((each) => each.keyId === keyId),
  );
  return { payload: came.payload, signatures: [...others, ...came.signatures] };
}
