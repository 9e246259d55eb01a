import type { ServingPlan } from '../engine/messages.ts';

/**
 * Engine processes for a plan: the most that any of its deployments asks for. One that asks for nothing is content
 * with `configured`, what the host was started with. Never more than the larger of that and the host's cores: beyond,
 * engines only take turns.
 */
export function enginesWanted(
  plan: Pick<ServingPlan, 'deployments'>,
  configured: number,
  cores: number,
): number {
  const asked = plan.deployments.map(({ serving }) => serving.engines ?? configured);
  if (asked.length === 0) return configured;
  return Math.min(Math.max(...asked), Math.max(configured, cores));
}
