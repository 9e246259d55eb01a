import { readdirSync, readFileSync } from 'node:fs';

/** Resident memory of one process, from /proc; in KiB. */
export interface ProcessMemory {
  readonly pid: number;
  readonly rssKiB: number;
  /** Pages that several processes share are divided among them. */
  readonly pssKiB: number;
  /** Resident, by what was mapped. */
  readonly partsKiB: ReadonlyMap<MemoryPart, number>;
}

export const MEMORY_PARTS = ['node', 'onnxruntime', 'other files', 'heap and arenas'] as const;
export type MemoryPart = (typeof MEMORY_PARTS)[number];

/** A process and all that it has started, itself first. */
export function processTree(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && parentOf(entry) === pid)
    .map(Number);
  return [pid, ...children.flatMap(processTree)];
}

/** Null for one that has ended meanwhile. */
function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}

const MAPPING = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/;
const FIELD = /^(Rss|Pss): +(\d+) kB$/;

export function memoryOf(pid: number): ProcessMemory {
  const partsKiB = new Map<MemoryPart, number>(MEMORY_PARTS.map((part) => [part, 0]));
  let pssKiB = 0;
  let part: MemoryPart = 'heap and arenas';
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const mapping = MAPPING.exec(line);
    if (mapping !== null) part = partOf(mapping[1]);
    const field = FIELD.exec(line);
    if (field?.[1] === 'Rss') partsKiB.set(part, (partsKiB.get(part) ?? 0) + Number(field[2]));
    else if (field?.[1] === 'Pss') pssKiB += Number(field[2]);
  }
  const rssKiB = [...partsKiB.values()].reduce((sum, part) => sum + part, 0);
  return { pid, rssKiB, pssKiB, partsKiB };
}

function partOf(path: string): MemoryPart {
  if (/onnxruntime/.test(path)) return 'onnxruntime';
  if (path === process.execPath) return 'node';
  return path.startsWith('/') ? 'other files' : 'heap and arenas';
}
