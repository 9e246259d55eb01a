import type { RefusalCode } from '../../protocol/error.ts';
import type { Guard } from '../../protocol/guard.ts';
import type { Arm, Digest } from '../../protocol/ids.ts';
import type { Monitoring } from '../../protocol/monitoring.ts';
import type { Execution, ReportedPlacement, Serving } from '../../protocol/serving.ts';
import type { Trip } from '../../protocol/trip.ts';
import type { DecisionBatch } from './decision-batch.ts';
import type { Answer, Question } from './host.ts';
import type { Restraints } from './restraints.ts';
import type { EngineSnapshot } from './snapshot.ts';

/** What passes between supervisor and engine, over the IPC channel of a process. */

/** Where the verified files of one version lie on this host. */
export interface ModelFiles {
  readonly manifest: Digest;
  readonly manifestPath: string;
  /** The ONNX file, or the graph of a pipeline. */
  readonly modelPath: string;
  readonly profilePath: string | null;
  readonly goldenPath: string | null;
}

/** A version to open, and how. One version may be opened in two ways, for two deployments. */
export interface ModelToOpen {
  readonly files: ModelFiles;
  readonly execution: Execution;
}

export interface PlannedArm {
  readonly arm: Arm;
  readonly version: number;
  readonly manifest: Digest;
  readonly share: number;
  /** The decision by which it serves; absent without a guard. */
  readonly decidedAt?: number;
}

export interface PlannedDeployment {
  readonly name: string;
  readonly windowMs: number;
  readonly serving: Serving;
  /** How it is watched; absent: by the defaults of `monitoringInForce`. */
  readonly monitoring?: Monitoring;
  readonly arms: readonly PlannedArm[];
  /** When an arm is taken back on the spot; absent: never. */
  readonly guard?: Guard;
  /** What takes the stable arm's place then: loaded, so that going back is a switch. */
  readonly standby?: PlannedArm;
  /** What a client of this host has unloaded: not among `arms`, and listed as unavailable. */
  readonly unloaded?: readonly UnloadedArm[];
}

export type UnloadedArm = Pick<PlannedArm, 'arm' | 'version' | 'manifest'>;

/** Everything an engine serves, switched as a whole. */
export interface ServingPlan {
  readonly agent: string;
  readonly generation: number;
  readonly deployments: readonly PlannedDeployment[];
}

export type PreparedModel =
  | {
      readonly manifest: Digest;
      readonly outcome: 'ready';
      /** Absent where no engine could say. */
      readonly placement?: ReportedPlacement;
    }
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

/** What is spoken on a connection. */
export type Transport = 'http' | 'grpc';

/** A request of a model that computes beside the engine's thread has begun (+1) or ceased (-1) to wait for it. */
export interface WaitingNote {
  /** Null where the supervisor could not answer in the engine's place. */
  readonly connection: number | null;
  readonly manifest: Digest;
  readonly change: 1 | -1;
}

/** What an engine has taken back by itself. */
export type EngineTrip = Pick<
  Trip,
  'deployment' | 'manifest' | 'version' | 'arm' | 'generation' | 'at' | 'breach' | 'decision'
> & { readonly decidedAt?: number | undefined };

export type ToEngine =
  | { readonly kind: 'prepare'; readonly id: number; readonly models: readonly ModelToOpen[] }
  | { readonly kind: 'commit'; readonly id: number; readonly plan: ServingPlan }
  | { readonly kind: 'snapshot'; readonly id: number }
  /** To refuse new requests, or to take them again. */
  | { readonly kind: 'drain'; readonly id: number; readonly draining: boolean }
  | { readonly kind: 'stop'; readonly id: number }
  /** Replaces what it said before. */
  | { readonly kind: 'restrain'; readonly restraints: Restraints }
  /** Comes with a socket, paused. */
  | { readonly kind: 'connection'; readonly connection: number; readonly transport: Transport }
  /** To a question of the engine, by its id; null: the host could not say. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer | null };

/** What an engine says to a command, by the command's id. */
export type EngineReply =
  | { readonly kind: 'prepared'; readonly id: number; readonly models: readonly PreparedModel[] }
  | { readonly kind: 'committed'; readonly id: number }
  | { readonly kind: 'snapshot'; readonly id: number; readonly snapshot: EngineSnapshot }
  /** `inFlight`: what it still owes an answer. */
  | { readonly kind: 'drained'; readonly id: number; readonly inFlight: number }
  | { readonly kind: 'stopped'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

export type FromEngine =
  /** Listens to commands: what is sent before this is lost. */
  | { readonly kind: 'started' }
  | EngineReply
  | WindowMessage
  | DecisionBatch
  | { readonly kind: 'tripped'; readonly trip: EngineTrip }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  | {
      readonly kind: 'connections';
      /** How many it has taken up since its start. */
      readonly taken: number;
      readonly notes: readonly WaitingNote[];
      readonly gone: readonly number[];
    };
