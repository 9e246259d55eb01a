import type { Digest } from '../../protocol/ids.ts';
import type { Disk } from './disk.ts';

/** One file of the store. */
export interface StoredFile {
  readonly path: string;
  /** Of the artifact that it is, or belongs to. */
  readonly digest: Digest;
  /** `part`: on its way in. `chunks`: the index beside a whole artifact. */
  readonly kind: 'whole' | 'part' | 'chunks';
  readonly sizeBytes: number;
  /** Last used, or of a part: last written. */
  readonly modifiedMs: number;
}

const NAME = /^([0-9a-f]{64})(\.part|\.chunks|\.chunks\.tmp)?$/;

/** Where a file of the store lies: in one of 256 folders, so that none gets long. */
export function pathOf(root: string, digest: Digest): string {
  const hex = digest.slice('sha256:'.length);
  return `${root}/${hex.slice(0, 2)}/${hex}`;
}

/** All files of the store. What has another name was put there by somebody else, and is left alone. */
export async function takeInventory(disk: Disk, root: string): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  const folders = (await disk.list(root)).filter((name) => /^[0-9a-f]{2}$/.test(name));
  for (const folder of folders) {
    for (const name of await disk.list(`${root}/${folder}`)) {
      const [, hex, ending] = NAME.exec(name) ?? [];
      const path = `${root}/${folder}/${name}`;
      const facts = hex === undefined ? null : await disk.stat(path);
      if (facts === null) continue;
      files.push({ path, digest: `sha256:${hex}`, kind: kindOf(ending), ...facts });
    }
  }
  return files;
}

function kindOf(ending: string | undefined): StoredFile['kind'] {
  if (ending === undefined) return 'whole';
  return ending === '.chunks' ? 'chunks' : 'part';
}
