import { ControlError } from '../error.ts';
import type { VersionRow } from '../store/models.ts';

/** Refuses a version that nobody with release keys has signed: agents would. Throws `ControlError` 'conflict'. */
export function requireReleased({ model, version, awaitsRelease }: VersionRow): void {
  if (!awaitsRelease) return;
  const name = `${model}@${version}`;
  throw new ControlError(
    'conflict',
    `${name} is not released, and agents would refuse it; whoever has the release key runs: driftline keys sign-release ${name} --key FILE`,
  );
}
