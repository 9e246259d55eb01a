import { readFile, stat } from 'node:fs/promises';
import { ProtocolError } from '../../../protocol/error.ts';
import {
  checkManifestAgainstModel,
  type Manifest,
  parseManifest,
} from '../../../protocol/manifest.ts';
import { readModelInfo } from '../../../protocol/onnx/model-info.ts';
import { isPipeline } from '../../../protocol/pipeline/manifest-fits.ts';
import {
  checkProfileAgainstManifest,
  type Profile,
  parseProfile,
  windowGrids,
} from '../../../protocol/profile.ts';
import { messageOf, Refusal } from '../../error.ts';
import type { ModelFiles, ModelToOpen } from '../messages.ts';
import { admitPipeline } from '../pipeline/admit-pipeline.ts';
import { parseGolden } from './golden.ts';
import { readModelOutline } from './model-outline.ts';
import { openVersion, type ReadVersion } from './open-version.ts';
import type { HostShare } from './placement.ts';
import type { Runtime } from './runtime.ts';
import { Slot } from './slot.ts';
import { rowsIndependent } from './warm-up.ts';

export type { HostShare } from './placement.ts';

/** Files up to this size are kept while they are opened, and may be compiled for the TypeScript executor. */
const MAX_KEPT_BYTES = 16 * 2 ** 20;

/**
 * Everything that must hold before a version may answer on this host: the manifest fits the file, the session
 * opens, the golden vectors agree on this provider (which is also the warm-up). Throws `Refusal`.
 */
export async function admit(
  runtime: Runtime,
  { files, execution }: ModelToOpen,
  share: HostShare,
): Promise<Slot> {
  const manifest = await readManifest(files);
  if (isPipeline(manifest)) return admitPipeline(files, manifest);
  const version = await readVersion(files, manifest);
  const { profile, golden } = version;
  const { session, placement } = await openVersion(runtime, version, execution, share);
  return new Slot({
    manifestDigest: files.manifest,
    manifest,
    grids: windowGrids(manifest, profile),
    session,
    placement,
    rowsIndependent: await rowsIndependent(session, manifest, golden),
    validation: profile?.reference.outcome ?? null,
    predicted:
      profile === null || manifest.prediction === null ? null : profile.reference.prediction,
    watched: profile?.tensors ?? [],
  });
}

async function readVersion(files: ModelFiles, manifest: Manifest): Promise<ReadVersion> {
  const { size } = await stat(files.modelPath);
  const model = size <= MAX_KEPT_BYTES ? await readFile(files.modelPath) : null;
  await checkModel(files, manifest, model);
  return {
    modelPath: files.modelPath,
    modelBytes: size,
    model,
    manifest,
    profile: await readProfile(files, manifest),
    golden: files.goldenPath === null ? null : parseGolden(await readFile(files.goldenPath)),
  };
}

async function readManifest({ manifestPath }: ModelFiles): Promise<Manifest> {
  const bytes = await readFile(manifestPath);
  try {
    return parseManifest(bytes);
  } catch (cause) {
    throw new Refusal('manifest-mismatch', messageOf(cause), { cause });
  }
}

async function checkModel(
  { modelPath }: ModelFiles,
  manifest: Manifest,
  model: Uint8Array | null,
): Promise<void> {
  try {
    const outline = model ?? (await readModelOutline(modelPath));
    checkManifestAgainstModel(manifest, readModelInfo(outline));
  } catch (cause) {
    if (cause instanceof ProtocolError && cause.kind === 'onnx') {
      throw new Refusal('not-onnx', cause.message, { cause });
    }
    throw new Refusal('manifest-mismatch', messageOf(cause), { cause });
  }
}

async function readProfile(files: ModelFiles, manifest: Manifest): Promise<Profile | null> {
  if (files.profilePath === null) return null;
  try {
    const profile = parseProfile(await readFile(files.profilePath));
    checkProfileAgainstManifest(profile, manifest);
    return profile;
  } catch (cause) {
    throw new Refusal('profile-invalid', messageOf(cause), { cause });
  }
}
