import type { LabelResult, PostedLabel } from './posted-label.ts';
import type { HostSnapshot } from './snapshot.ts';

/** What an engine may ask of the host that it is one of several engines of. */
export type Question =
  | { readonly kind: 'snapshot' }
  | {
      readonly kind: 'feedback';
      readonly deployment: string;
      readonly labels: readonly PostedLabel[];
    }
  /** `version` null: every version of the deployment on this host. */
  | {
      readonly kind: 'load' | 'unload';
      readonly deployment: string;
      readonly version: number | null;
    };

/** What asks for another state of the host. */
export type Change = Extract<Question, { kind: 'load' | 'unload' }>;

/** Why a question is refused; each is an error code of the inference protocol. */
export type HostRefusal = 'managed' | 'unknown_model' | 'unknown_version' | 'not_ready';

export type Answer =
  | { readonly kind: 'snapshot'; readonly snapshot: HostSnapshot }
  /** One for each label, in their order. */
  | { readonly kind: 'feedback'; readonly results: readonly LabelResult[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly code: HostRefusal; readonly message: string };

/** Rejects with `AgentError` 'engine' when the host does not answer in time. */
export interface EngineHost {
  ask(question: Question): Promise<Answer>;
}

export const MANAGED =
  'the control plane decides which versions run on this agent, so that each is signed, watched and can be rolled back; use "driftline deploy" or "driftline rollout", or start the agent with --repository-control';
