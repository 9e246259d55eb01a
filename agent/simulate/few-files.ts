import type { AppendFile, Disk } from '../store/disk.ts';

/** Besides a socket for each agent: at 10,000 of them the usual bound of 20,000 open files is near. */
const OPEN_AT_ONCE = 256;

/**
 * A disk for thousands of agents in one process: the same files, and none stays open between two writes. A host that has its
 * disk for itself keeps its outbox open.
 */
export function fewFiles(disk: Disk): Disk {
  const turns = new Turns(OPEN_AT_ONCE);
  const opened = (path: string, work: (file: AppendFile) => Promise<void>) =>
    turns.take(async () => {
      const file = await disk.openAppend(path);
      try {
        await work(file);
      } finally {
        await file.close();
      }
    });
  return {
    ...disk,
    list: (folder) => turns.take(() => disk.list(folder)),
    read: (path) => turns.take(() => disk.read(path)),
    readRange: (path, offset, length) => turns.take(() => disk.readRange(path, offset, length)),
    syncFolder: (path) => turns.take(() => disk.syncFolder(path)),
    openAppend: async (path) => {
      // It is there from now on, as it would be.
      await opened(path, async () => undefined);
      return {
        append: (data) => opened(path, (file) => file.append(data)),
        sync: () => opened(path, (file) => file.sync()),
        truncate: (size) => opened(path, (file) => file.truncate(size)),
        close: async () => undefined,
      };
    },
  };
}

/** So many at once; the others wait in their order. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((turn) => this.#waiting.push(turn));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
