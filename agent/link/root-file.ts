import { join } from 'node:path';
import { readTextIfAny, writeFileAtomically } from '../store/atomic-file.ts';
import { TrustStore } from './trust-store.ts';

/** The root that the host whose data is in `folder` has followed. Throws `AgentError` 'identity'. */
export function loadTrust(folder: string): Promise<TrustStore> {
  const path = join(folder, 'root.json');
  return TrustStore.load({
    name: path,
    read: () => readTextIfAny(path),
    write: (text) => writeFileAtomically(path, text),
  });
}
