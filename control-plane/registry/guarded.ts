import type { Guard } from '../../protocol/guard.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { ControlError } from '../error.ts';

/** Refuses a guard against drift for a version that there is nothing to compare with. Throws `ControlError` 'conflict'. */
export function checkGuard(
  { model, version, document }: { model: string; version: number; document: Manifest },
  guard: Guard | undefined,
): void {
  if (guard?.drift === undefined) return;
  const compared = document.files.some(({ role }) => role === 'profile');
  if (compared && document.prediction !== null) return;
  const why = compared ? 'names no prediction' : 'was pushed without a baseline';
  const told = `a guard against drift compares predictions with the baseline, and ${model}@${version} ${why}: leave "drift" out of the guard, or push the version anew`;
  throw new ControlError('conflict', told);
}
