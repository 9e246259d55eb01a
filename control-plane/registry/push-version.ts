import { ProtocolError } from '../../protocol/error.ts';
import type { Digest } from '../../protocol/ids.ts';
import {
  MAX_ARTIFACT_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_PIPELINE_BYTES,
  MAX_PROFILE_BYTES,
} from '../../protocol/limits.ts';
import {
  checkManifestAgainstModel,
  fileOfRole,
  type Manifest,
  parseManifest,
} from '../../protocol/manifest.ts';
import { readModelInfo } from '../../protocol/onnx/model-info.ts';
import { checkManifestAgainstPipeline } from '../../protocol/pipeline/manifest-fits.ts';
import { parsePipeline } from '../../protocol/pipeline/plan.ts';
import { checkProfileAgainstManifest, parseProfile } from '../../protocol/profile.ts';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Blobs } from '../store/blobs.ts';
import type { Store } from '../store/database.ts';
import { insertVersion, type VersionRow } from '../store/models.ts';

/**
 * Registers the version whose manifest is the artifact `manifest`. Everything an agent would trip
 * over is refused here, while somebody watches: files that are missing or of another size, a model
 * that is no ONNX, a pipeline whose parts do not fit, a manifest that contradicts either, a profile that does not fit. Throws `ControlError`
 * 'artifact-missing', 'model-refused' or 'conflict'. The same manifest again is the same version.
 */
export async function pushVersion(
  store: Store,
  blobs: Blobs,
  model: string,
  manifest: Digest,
  actor: Actor,
  now: number,
): Promise<{ row: VersionRow; created: boolean }> {
  const document = await refusing(async () =>
    parseManifest(await blobs.read(manifest, MAX_MANIFEST_BYTES)),
  );
  if (document.model !== model) {
    throw new ControlError(
      'model-refused',
      `the manifest is of model "${document.model}", and cannot become a version of "${model}"`,
    );
  }
  await checkFiles(blobs, document);
  await refusing(() => checkContents(blobs, document));
  return store.write(async (tx) => {
    const { row, created } = await insertVersion(tx, manifest, document, actor, now);
    if (created) {
      const subject = `version:${row.model}@${row.version}`;
      await record(tx, now, actor, 'version.registered', subject, { manifest });
    }
    return { row, created };
  });
}

async function checkFiles(blobs: Blobs, manifest: Manifest): Promise<void> {
  const roles = manifest.files.map((file) => file.role);
  const twice = roles.find((role, at) => roles.indexOf(role) !== at);
  if (twice !== undefined) {
    throw new ControlError(
      'model-refused',
      `the manifest lists two files with the role "${twice}"`,
    );
  }
  for (const file of manifest.files) {
    const size = await blobs.size(file.digest);
    if (size === null) {
      throw new ControlError(
        'artifact-missing',
        `the manifest's ${file.role} file ${file.digest} has not been uploaded`,
      );
    }
    if (size !== file.sizeBytes) {
      throw new ControlError(
        'model-refused',
        `the manifest says that its ${file.role} file has ${file.sizeBytes} bytes; ${file.digest} has ${size}`,
      );
    }
  }
}

async function checkContents(blobs: Blobs, manifest: Manifest): Promise<void> {
  const pipeline = fileOfRole(manifest, 'pipeline');
  if (pipeline !== null) {
    const graph = await blobs.read(pipeline.digest, MAX_PIPELINE_BYTES);
    checkManifestAgainstPipeline(manifest, parsePipeline(graph));
    return;
  }
  const model = fileOfRole(manifest, 'model');
  if (model === null) {
    throw new ControlError('model-refused', 'the manifest lists no file with the role "model"');
  }
  const bytes = await blobs.read(model.digest, MAX_ARTIFACT_BYTES);
  checkManifestAgainstModel(manifest, readModelInfo(bytes));
  const profile = fileOfRole(manifest, 'profile');
  if (profile === null) return;
  const bytesOfProfile = await blobs.read(profile.digest, MAX_PROFILE_BYTES);
  checkProfileAgainstManifest(parseProfile(bytesOfProfile), manifest);
}

/** What the protocol finds wrong with a file is a refusal of the push, in the same words. */
async function refusing<T>(check: () => Promise<T>): Promise<T> {
  try {
    return await check();
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new ControlError('model-refused', cause.message, { cause });
  }
}
