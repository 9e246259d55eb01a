import { readFile } from 'node:fs/promises';
import { ProtocolError } from '../../../protocol/error.ts';
import {
  checkManifestAgainstModel,
  type Manifest,
  parseManifest,
} from '../../../protocol/manifest.ts';
import { readModelInfo } from '../../../protocol/onnx/model-info.ts';
import {
  checkProfileAgainstManifest,
  type Profile,
  parseProfile,
  windowGrids,
} from '../../../protocol/profile.ts';
import { messageOf, Refusal } from '../../error.ts';
import type { ModelFiles } from '../messages.ts';
import { agrees } from './executor/admit-executor.ts';
import { compileModel } from './executor/compile.ts';
import { openFaster } from './executor/open-compiled.ts';
import { checkGolden, type Golden, goldenInputs, parseGolden } from './golden.ts';
import type { Runtime, Session } from './runtime.ts';
import { Slot } from './slot.ts';

/**
 * Everything that must hold before a version may answer on this host: the manifest fits the file, the session
 * opens, the golden vectors agree on this provider (which is also the warm-up). Throws `Refusal`.
 */
export async function admit(runtime: Runtime, files: ModelFiles): Promise<Slot> {
  const [manifestBytes, model] = await Promise.all([
    readFile(files.manifestPath),
    readFile(files.modelPath),
  ]);
  const manifest = readManifest(manifestBytes, model);
  const profile = await readProfile(files, manifest);
  let session: Session;
  try {
    session = await runtime.open(model);
  } catch (cause) {
    throw new Refusal('session-failed', `ONNX Runtime refused the model: ${messageOf(cause)}`, {
      cause,
    });
  }
  let serving = session;
  try {
    if (files.goldenPath !== null) {
      const golden = parseGolden(await readFile(files.goldenPath));
      await checkGolden(session, golden);
      serving = await preferExecutor(model, session, golden);
    }
  } catch (cause) {
    await session.release();
    if (cause instanceof Refusal) throw cause;
    throw new Refusal('warmup-failed', `the model failed its first run: ${messageOf(cause)}`, {
      cause,
    });
  }
  return new Slot(files.manifest, manifest, windowGrids(manifest, profile), serving);
}

/**
 * Trees and small dense models in TypeScript: calling ONNX Runtime costs several times what they compute. Only where
 * the answers agree with ONNX Runtime's on the golden rows; without golden rows nothing was agreed.
 */
async function preferExecutor(
  model: Uint8Array,
  session: Session,
  golden: Golden,
): Promise<Session> {
  const compiled = compileModel(model);
  if (compiled === null) return session;
  const agreement = await agrees(compiled, session, [goldenInputs(golden)]);
  return agreement.kind === 'agrees' ? openFaster(compiled, session) : session;
}

function readManifest(bytes: Uint8Array, model: Uint8Array): Manifest {
  try {
    const manifest = parseManifest(bytes);
    checkManifestAgainstModel(manifest, readModelInfo(model));
    return manifest;
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
