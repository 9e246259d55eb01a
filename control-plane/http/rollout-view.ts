import type { RolloutRow } from '../store/rollouts.ts';
import { type RolloutView, rolloutViewSchema } from './services.ts';

/** A stored rollout as the API shows it. */
export function rolloutView(row: RolloutRow): RolloutView {
  const { fromVersion: from, toVersion: to, ...rest } = row;
  return rolloutViewSchema.parse({ ...rest, from, to });
}
