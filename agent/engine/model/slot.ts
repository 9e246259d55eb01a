import type { Manifest } from '../../../protocol/manifest.ts';
import type { PipelinePlan } from '../../../protocol/pipeline/plan.ts';
import type { Provider } from '../../../protocol/serving.ts';
import type { OutcomeSketch } from '../../../protocol/sketch/outcome.ts';
import type { FeatureSketch, WindowGrids } from '../../../protocol/sketch/window.ts';
import type { WatchedTensor } from '../../../protocol/tensor-profile.ts';
import { InFlight } from '../in-flight.ts';
import type { NodeCounts, Session } from './runtime.ts';

/** Where and on what a version runs on this host, and what that was decided from. */
export interface Placement {
  readonly kind: 'inline' | 'worker';
  readonly provider: Provider;
  /** Providers that were tried before it, and why they are not used. */
  readonly refused: readonly { readonly provider: Provider; readonly reason: string }[];
  /** Threads with a session each; 0 when inline. */
  readonly workers: number;
  readonly intraOpThreads: number;
  /** Median time of one call at warm-up; null when nothing could be run. */
  readonly runUs: number | null;
  readonly openMs: number;
  /** Nodes by what ran them at warm-up, where the provider may leave some to the CPU; null on the CPU itself. */
  readonly nodes: NodeCounts | null;
  /** `typescript`: small calls are answered by our own executor, which agreed with ONNX Runtime. */
  readonly executor: 'onnxruntime' | 'typescript';
}

export interface AdmittedVersion {
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly grids: WindowGrids;
  readonly session: Session;
  readonly placement: Placement;
  /** Rows of one call do not influence each other, shown on the golden rows: requests may share a call. */
  readonly rowsIndependent: boolean;
  /** A version that is a graph of other deployments; its session is never run. */
  readonly pipeline?: PipelinePlan;
  /** What the version got wrong on its baseline; absent where the baseline has no labels. */
  readonly validation?: OutcomeSketch | null;
  /** What it predicted on its baseline; absent or null where there is no profile, or no prediction. */
  readonly predicted?: FeatureSketch | null;
  /** How its embeddings and images are watched. */
  readonly watched?: readonly WatchedTensor[];
}

/**
 * One admitted version in memory. Requests enter and leave; once retired it takes no new ones and its
 * session is released when the last has left, so a switch neither fails a request nor mixes two versions.
 */
export class Slot {
  readonly manifestDigest: string;
  readonly manifest: Manifest;
  readonly grids: WindowGrids;
  readonly session: Session;
  readonly placement: Placement;
  readonly rowsIndependent: boolean;
  readonly pipeline: PipelinePlan | null;
  readonly validation: OutcomeSketch | null;
  readonly predicted: FeatureSketch | null;
  readonly watched: readonly WatchedTensor[];
  readonly inFlight = new InFlight();

  constructor(version: AdmittedVersion) {
    this.manifestDigest = version.manifestDigest;
    this.manifest = version.manifest;
    this.grids = version.grids;
    this.session = version.session;
    this.placement = version.placement;
    this.rowsIndependent = version.rowsIndependent;
    this.pipeline = version.pipeline ?? null;
    this.validation = version.validation ?? null;
    this.predicted = version.predicted ?? null;
    this.watched = version.watched ?? [];
  }

  /** Resolves when the last request has left and the session's memory is given back. */
  async retire(): Promise<void> {
    await this.inFlight.drained();
    await this.session.release();
  }
}
