import type { RefusalCode } from '../../protocol/error.ts';
import type { Arm, Digest } from '../../protocol/ids.ts';

/** What passes between supervisor and engine, over the cluster's IPC channel or in one process. */

/** Where the verified files of one version lie on this host. */
export interface ModelFiles {
  readonly manifest: Digest;
  readonly manifestPath: string;
  readonly modelPath: string;
  readonly profilePath: string | null;
  readonly goldenPath: string | null;
}

export interface PlannedArm {
  readonly arm: Arm;
  readonly version: number;
  readonly manifest: Digest;
  readonly share: number;
}

export interface PlannedDeployment {
  readonly name: string;
  readonly windowMs: number;
  readonly arms: readonly PlannedArm[];
}

/** Everything an engine serves, switched as a whole. */
export interface ServingPlan {
  readonly agent: string;
  readonly generation: number;
  readonly deployments: readonly PlannedDeployment[];
}

export type PreparedModel =
  | { readonly manifest: Digest; readonly outcome: 'ready' }
  | {
      readonly manifest: Digest;
      readonly outcome: 'refused';
      readonly code: RefusalCode;
      readonly detail: string;
    };

/** One finished window of one arm, encoded. */
export interface WindowMessage {
  readonly kind: 'window';
  readonly deployment: string;
  readonly manifest: Digest;
  readonly arm: Arm;
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly body: Uint8Array;
}

export type ToEngine =
  | { readonly kind: 'prepare'; readonly id: number; readonly models: readonly ModelFiles[] }
  | { readonly kind: 'commit'; readonly id: number; readonly plan: ServingPlan }
  | { readonly kind: 'listen'; readonly id: number; readonly host: string; readonly port: number }
  | { readonly kind: 'stop'; readonly id: number };

export type FromEngine =
  /** Listens to commands: what is sent before this is lost. */
  | { readonly kind: 'started' }
  | { readonly kind: 'prepared'; readonly id: number; readonly models: readonly PreparedModel[] }
  | { readonly kind: 'committed'; readonly id: number }
  | { readonly kind: 'listening'; readonly id: number; readonly port: number }
  | { readonly kind: 'stopped'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
  | WindowMessage;
