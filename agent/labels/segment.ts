import { type FileHandle, open, readFile, rm, truncate } from 'node:fs/promises';
import { type DecisionSource, decisionSourceSchema } from '../engine/decision-batch.ts';
import { CallerFilter } from './caller-filter.ts';
import {
  LABEL_BYTES,
  LABEL_STATE,
  type RowsBlock,
  type RowsToStore,
  readBlock,
  rowsBlock,
  sourceBlock,
} from './decision-block.ts';

/** A row that is remembered. */
export interface Place {
  readonly segment: Segment;
  /** From the start of the file. */
  readonly labelAt: number;
  readonly block: RowsBlock;
  /** Which of the block's records. */
  readonly at: number;
}

/** A block with where it lies. */
interface Placed {
  readonly block: RowsBlock;
  readonly offset: number;
  readonly first: number;
  readonly last: number;
}

/** The content of a segment, while it is looked at. */
interface Loaded {
  bytes: Buffer;
  size: number;
  readonly file: FileHandle;
  /** By engine, in the order in which they came. */
  readonly blocks: Map<number, Placed[]>;
  readonly sources: DecisionSource[];
  /** First record of the newest request of each caller's id; null until it is asked for. */
  callers: Map<number, { placed: Placed; at: number }> | null;
  /** Bytes whose labels have changed since they were written; null: none. */
  dirty: { from: number; to: number } | null;
}

/** One file of remembered rows. Bounded, so that the oldest can be dropped, and another be looked through, at once. */
export class Segment {
  readonly path: string;
  rows = 0;
  bytes = 0;
  /** Start of the oldest window, and time of the newest row. */
  fromMs = Number.POSITIVE_INFINITY;
  toMs = 0;
  /** Bytes at its end that were no whole block. */
  corruptBytes = 0;
  readonly #engines = new Map<number, { first: number; last: number }>();
  readonly #known = new Map<string, number>();
  #filter: CallerFilter | null = null;
  #loaded: Loaded | null = null;
  /** Rows were marked as sent since the disk was last told to keep it. */
  #unsynced = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Reads a file that is there, or begins an empty one; what a crash has left of a last block is cut off. */
  async open(): Promise<void> {
    const loaded = await this.#load();
    const { size } = await loaded.file.stat();
    this.corruptBytes = size - loaded.size;
    if (this.corruptBytes > 0) await truncate(this.path, loaded.size);
  }

  get isLoaded(): boolean {
    return this.#loaded !== null;
  }

  async #load(): Promise<Loaded> {
    if (this.#loaded !== null) return this.#loaded;
    const file = await open(this.path, 'a+', 0o600).then(async (created) => {
      await created.close();
      return open(this.path, 'r+');
    });
    const bytes = await readFile(this.path);
    const loaded: Loaded = {
      ...{ bytes, size: 0, file, callers: null, dirty: null },
      blocks: new Map(),
      sources: [],
    };
    const first = this.bytes === 0;
    for (let block = readBlock(bytes, 0); block !== null; ) {
      if (block.kind === 'source') {
        const source = decisionSourceSchema.safeParse(JSON.parse(block.json));
        // A start must not fail on what another version of the agent wrote.
        if (!source.success) break;
        this.#known.set(block.json, block.number);
        loaded.sources[block.number] = source.data;
      } else this.#add(loaded, block, first);
      loaded.size += block.bytes;
      block = readBlock(bytes, loaded.size);
    }
    this.bytes = loaded.size;
    this.#loaded = loaded;
    return loaded;
  }

  /** `fresh`: it has not been counted yet. */
  #add(loaded: Loaded, block: RowsBlock, fresh: boolean): void {
    const { records, engine } = block;
    const [first, last] = [records.row(0), records.row(records.rows - 1)];
    const placed = { block, offset: loaded.size, first, last };
    const blocks = loaded.blocks.get(engine);
    if (blocks === undefined) loaded.blocks.set(engine, [placed]);
    else blocks.push(placed);
    if (loaded.callers !== null) indexCallers(loaded.callers, placed);
    if (fresh) this.#count(block, first, last);
  }

  #count({ records, engine, windowStartMs, atMs }: RowsBlock, first: number, last: number): void {
    this.rows += records.rows;
    this.fromMs = Math.min(this.fromMs, windowStartMs);
    this.toMs = Math.max(this.toMs, atMs);
    const range = this.#engines.get(engine) ?? { first, last };
    this.#engines.set(engine, {
      first: Math.min(range.first, first),
      last: Math.max(range.last, last),
    });
    for (let at = 0; at < records.rows; at += 1) {
      const caller = records.caller(at);
      if (caller === 0) continue;
      this.#filter ??= new CallerFilter();
      this.#filter.add(caller);
    }
  }

  /** Rows in ascending order, of which no number came before in this engine. */
  async append(source: string, stored: Omit<RowsToStore, 'source'>): Promise<void> {
    const loaded = await this.#load();
    const known = this.#known.get(source);
    const number = known ?? this.#known.size;
    const rows = rowsBlock({ ...stored, source: number });
    const written = known === undefined ? Buffer.concat([sourceBlock(number, source), rows]) : rows;
    await writeAll(loaded.file, written, loaded.size);
    if (known === undefined) {
      this.#known.set(source, number);
      loaded.sources[number] = decisionSourceSchema.parse(JSON.parse(source));
    }
    makeRoom(loaded, written.length);
    loaded.bytes.set(written, loaded.size);
    loaded.size += written.length - rows.length;
    const block = readBlock(loaded.bytes.subarray(0, loaded.size + rows.length), loaded.size);
    if (block?.kind === 'rows') this.#add(loaded, block, true);
    loaded.size += rows.length;
    this.bytes = loaded.size;
  }

  mayHaveRow(engine: number, row: number): boolean {
    const range = this.#engines.get(engine);
    return range !== undefined && row >= range.first && row <= range.last;
  }

  mayHaveCaller(hash: number): boolean {
    return this.#filter?.mayHave(hash) ?? false;
  }

  /** Row `index` of the request whose first row has this number. */
  async findRow(engine: number, firstRow: number, index: number): Promise<Place | null> {
    const loaded = await this.#load();
    const row = firstRow + index;
    // Arms of one engine share its numbers, so blocks overlap: few do, and the newest are asked for most.
    const blocks = loaded.blocks.get(engine) ?? [];
    for (let at = blocks.length - 1; at >= 0; at -= 1) {
      const placed = blocks[at];
      if (row < placed.first || row > placed.last) continue;
      const found = placed.block.records.find(row);
      if (found !== -1 && placed.block.records.index(found) === index) {
        return this.#place(placed, found);
      }
    }
    return null;
  }

  /** Row `index` of the newest request that its caller named so. */
  async findCaller(hash: number, index: number): Promise<Place | null> {
    const loaded = await this.#load();
    if (loaded.callers === null) {
      loaded.callers = new Map();
      for (const blocks of loaded.blocks.values()) {
        for (const placed of blocks) indexCallers(loaded.callers, placed);
      }
    }
    const found = loaded.callers.get(hash);
    if (found === undefined) return null;
    const { placed, at: from } = found;
    const { records } = placed.block;
    for (let at = from; at < records.rows && records.caller(at) === hash; at += 1) {
      if (records.index(at) === index) return this.#place(placed, at);
    }
    return null;
  }

  #place({ block, offset }: Placed, at: number): Place {
    return { segment: this, block, at, labelAt: offset + block.labelsAt + at * LABEL_BYTES };
  }

  async sourceOf({ block }: Place): Promise<DecisionSource> {
    return (await this.#load()).sources[block.source];
  }

  /** The label of a row; null: none has come. */
  async label({ labelAt }: Place): Promise<number | null> {
    const { bytes } = await this.#load();
    return bytes[labelAt] === LABEL_STATE.none ? null : bytes.readDoubleLE(labelAt + 1);
  }

  async setLabel({ labelAt }: Place, value: number): Promise<void> {
    const loaded = await this.#load();
    loaded.bytes[labelAt] = LABEL_STATE.joined;
    loaded.bytes.writeDoubleLE(value, labelAt + 1);
    touch(loaded, labelAt);
  }

  async setSent({ labelAt }: Place): Promise<void> {
    const loaded = await this.#load();
    loaded.bytes[labelAt] = LABEL_STATE.sent;
    this.#unsynced = true;
    touch(loaded, labelAt);
  }

  /** Rows whose labels were joined and are in no window yet: a crash came between. */
  async unsent(): Promise<Place[]> {
    const loaded = await this.#load();
    const places: Place[] = [];
    for (const placed of [...loaded.blocks.values()].flat()) {
      for (let at = 0; at < placed.block.records.rows; at += 1) {
        const place = this.#place(placed, at);
        if (loaded.bytes[place.labelAt] === LABEL_STATE.joined) places.push(place);
      }
    }
    return places;
  }

  /** Writes what labels have changed. */
  async save(): Promise<void> {
    const loaded = this.#loaded;
    if (loaded === null || loaded.dirty === null) return;
    const { from, to } = loaded.dirty;
    loaded.dirty = null;
    await writeAll(loaded.file, loaded.bytes.subarray(from, to), from);
  }

  /** Writes what labels have changed; what was marked as sent stays so even if the power goes. */
  async sync(): Promise<void> {
    await this.save();
    if (!this.#unsynced) return;
    await this.#loaded?.file.datasync();
    this.#unsynced = false;
  }

  /** Gives its memory back. */
  async unload(): Promise<void> {
    await this.sync();
    const loaded = this.#loaded;
    this.#loaded = null;
    await loaded?.file.close();
  }

  async remove(): Promise<void> {
    await this.unload();
    await rm(this.path, { force: true });
  }
}

/** A disk that fills up may stop half-way without an error. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function touch(loaded: Loaded, labelAt: number): void {
  const { from, to } = loaded.dirty ?? { from: labelAt, to: labelAt };
  loaded.dirty = { from: Math.min(from, labelAt), to: Math.max(to, labelAt + LABEL_BYTES) };
}

function makeRoom(loaded: Loaded, bytes: number): void {
  if (loaded.size + bytes <= loaded.bytes.length) return;
  const larger = Buffer.alloc(Math.max(loaded.bytes.length * 2, loaded.size + bytes));
  loaded.bytes.copy(larger, 0, 0, loaded.size);
  loaded.bytes = larger;
}

/** The newest request wins: ids that callers use again name what they asked last. */
function indexCallers(index: Map<number, { placed: Placed; at: number }>, placed: Placed): void {
  const { records } = placed.block;
  let request = -1;
  for (let at = 0; at < records.rows; at += 1) {
    const caller = records.caller(at);
    const start = records.row(at) - records.index(at);
    if (caller !== 0 && start !== request) index.set(caller, { placed, at });
    request = start;
  }
}
