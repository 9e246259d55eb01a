import type { Manifest } from '../../../protocol/manifest.ts';
import type { Profile } from '../../../protocol/profile.ts';
import type { Execution, Provider } from '../../../protocol/serving.ts';
import { messageOf, Refusal } from '../../error.ts';
import { agreedExecutor, type Executor, withExecutor } from './executor/prefer-executor.ts';
import type { Golden } from './golden.ts';
import {
  firstPlace,
  type HostShare,
  INLINE_LIMIT_US,
  lastPlace,
  type Place,
  workersOf,
} from './placement.ts';
import type { Runtime, Session } from './runtime.ts';
import type { Placement } from './slot.ts';
import { checkOnEveryLane, medianRunUs, oneRow } from './warm-up.ts';

/** What of a version decides how it is opened, read and checked. */
export interface ReadVersion {
  readonly modelPath: string;
  readonly modelBytes: number;
  /** The file itself, where it is small enough to be kept in memory for the moment. */
  readonly model: Uint8Array | null;
  readonly manifest: Manifest;
  readonly profile: Profile | null;
  readonly golden: Golden | null;
}

export interface OpenedVersion {
  readonly session: Session;
  readonly placement: Placement;
}

const DEFAULT_PROVIDERS: readonly Provider[] = ['cpu'];

/**
 * Opens a version on the first provider that takes it and agrees with its golden vectors, in the place where it was
 * measured to belong. Throws `Refusal` with the reason of every provider.
 */
export async function openVersion(
  runtime: Runtime,
  version: ReadVersion,
  execution: Execution,
  share: HostShare,
): Promise<OpenedVersion> {
  const refused: { provider: Provider; refusal: Refusal }[] = [];
  for (const provider of execution.providers ?? DEFAULT_PROVIDERS) {
    const opening = new Opening(runtime, version, execution, share, provider);
    try {
      const opened = await opening.open();
      const reasons = refused.map((one) => ({
        provider: one.provider,
        reason: one.refusal.message,
      }));
      return { ...opened, placement: { ...opened.placement, refused: reasons } };
    } catch (cause) {
      refused.push({ provider, refusal: asRefusal(cause) });
    }
  }
  throw refusalOfAll(refused);
}

function asRefusal(cause: unknown): Refusal {
  if (cause instanceof Refusal) return cause;
  const what = `the model failed its first run: ${messageOf(cause)}`;
  return new Refusal('warmup-failed', what, { cause });
}

function refusalOfAll(all: readonly { provider: Provider; refusal: Refusal }[]): Refusal {
  const [{ refusal: first }] = all;
  if (all.length === 1) return first;
  const same = all.every(({ refusal }) => refusal.code === first.code);
  const reasons = all.map(({ provider, refusal }) => `${provider}: ${refusal.message}`).join('; ');
  return new Refusal(same ? first.code : 'session-failed', `every provider refused: ${reasons}`);
}

interface OpenSession {
  readonly session: Session;
  readonly place: Place;
  readonly openMs: number;
}

/** One version on one provider. */
class Opening {
  readonly #runtime: Runtime;
  readonly #version: ReadVersion;
  readonly #execution: Execution;
  readonly #share: HostShare;
  readonly #provider: Provider;

  constructor(
    runtime: Runtime,
    version: ReadVersion,
    execution: Execution,
    share: HostShare,
    provider: Provider,
  ) {
    this.#runtime = runtime;
    this.#version = version;
    this.#execution = execution;
    this.#share = share;
    this.#provider = provider;
  }

  async open(): Promise<OpenedVersion> {
    const first = firstPlace(this.#execution, this.#provider, this.#version.modelBytes);
    const opened = await this.#openAt(first);
    try {
      return await this.#settle(opened);
    } catch (cause) {
      // Whatever comes of that: the first failure is the one to be told.
      await Promise.allSettled([opened.session.release()]);
      throw cause;
    }
  }

  /** Measures an open session and moves it where it belongs. The caller releases it, maybe again, when this throws. */
  async #settle(opened: OpenSession): Promise<OpenedVersion> {
    const { session, openMs } = opened;
    const runUs = await this.#warmUp(session);
    const nodes = (await session.nodes?.()) ?? null;
    const executor = await this.#executor(session, runUs);
    const measured = { runUs, openMs };
    const place = lastPlace(this.#execution, this.#provider, opened.place, measured);
    const inlineExecutor =
      executor !== null && (executor.alone || place === 'inline') ? executor : null;
    const placement: Placement = {
      kind: inlineExecutor === null ? place : 'inline',
      provider: this.#provider,
      refused: [],
      workers: 0,
      intraOpThreads: this.#execution.intraOpThreads ?? 1,
      runUs: inlineExecutor?.runUs ?? runUs,
      openMs,
      nodes,
      executor: inlineExecutor === null ? 'onnxruntime' : 'typescript',
    };
    if (inlineExecutor?.alone) {
      await session.release();
      return { session: withExecutor(inlineExecutor, null), placement };
    }
    const settled = place === opened.place ? session : await this.#move(session, place);
    const serving = inlineExecutor === null ? settled : withExecutor(inlineExecutor, settled);
    return { session: serving, placement: { ...placement, workers: settled.lanes } };
  }

  /** The first is gone before the other opens: two copies of a large model may be one too many. */
  async #move(session: Session, place: Place): Promise<Session> {
    await session.release();
    const { session: moved } = await this.#openAt(place);
    try {
      await this.#warmUp(moved);
      return moved;
    } catch (cause) {
      await Promise.allSettled([moved.release()]);
      throw cause;
    }
  }

  /** Checks the golden vectors; resolves with the median time of one row, null where nothing could be run. */
  async #warmUp(session: Session): Promise<number | null> {
    const { manifest, golden } = this.#version;
    if (golden !== null) await checkOnEveryLane(session, golden);
    try {
      return await medianRunUs(session, oneRow(manifest, golden));
    } catch {
      // Not every model takes every single row, least of all one made of zeros: that refuses no version.
      return null;
    }
  }

  /** The model in TypeScript, where it may compute in the serving thread, agrees, and is quicker than what is open. */
  async #executor(session: Session, runUs: number | null): Promise<Executor | null> {
    const { model, golden, manifest, profile } = this.#version;
    const allowed = this.#execution.placement !== 'worker' && this.#provider === 'cpu';
    if (!allowed || model === null || golden === null) return null;
    const executor = await agreedExecutor(model, session, { manifest, profile, golden });
    if (executor === null) return null;
    // Of trees it is known (`prefersExecutor`); of dense layers it depends on their widths.
    if (!executor.alone && executor.runUs > (runUs ?? Number.POSITIVE_INFINITY)) return null;
    const inline = this.#execution.placement === 'inline' || executor.runUs <= INLINE_LIMIT_US;
    return inline ? executor : null;
  }

  async #openAt(place: Place): Promise<OpenSession> {
    const { modelPath, modelBytes } = this.#version;
    const options = {
      provider: this.#provider,
      intraOpThreads: this.#execution.intraOpThreads ?? 1,
      countNodes: this.#provider !== 'cpu',
    };
    const onWorkers = place === 'worker' ? this.#runtime.openOnWorkers : undefined;
    const start = performance.now();
    try {
      const session =
        onWorkers === undefined
          ? await this.#runtime.open(this.#version.model ?? modelPath, options)
          : await onWorkers(modelPath, {
              ...options,
              workers: workersOf(this.#execution, modelBytes, this.#share),
            });
      const openMs = performance.now() - start;
      return { session, place: onWorkers === undefined ? 'inline' : 'worker', openMs };
    } catch (cause) {
      throw new Refusal('session-failed', `ONNX Runtime refused the model: ${messageOf(cause)}`, {
        cause,
      });
    }
  }
}
