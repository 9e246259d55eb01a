import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { timestampSchema } from '../../protocol/ids.ts';
import {
  EGRESS_KINDS,
  type EgressCount,
  type EgressKind,
  egressCountSchema,
  egressKindSchema,
} from '../../protocol/ledger.ts';
import { writeFileAtomically } from '../store/atomic-file.ts';

const fileSchema = z.object({
  schema: z.literal(1),
  sinceMs: timestampSchema,
  egress: z.partialRecord(egressKindSchema, egressCountSchema),
});

export type Egress = Readonly<Partial<Record<EgressKind, EgressCount>>>;

/**
 * Counts what leaves this host, by kind, from its first start on. Payload bytes: what TCP, TLS and HTTP headers add is
 * not in it. Kept in one file; what was sent after it was last written is lost with a host that loses its power.
 */
export class EgressLedger {
  readonly #path: string;
  readonly #counts: Map<EgressKind, { messages: number; bytes: number }>;
  readonly sinceMs: number;
  /** Cumulative counts of parts that count for themselves, as they were last seen. */
  readonly #seen = new Map<string, EgressCount>();

  private constructor(path: string, sinceMs: number, egress: Egress) {
    this.#path = path;
    this.sinceMs = sinceMs;
    this.#counts = new Map(
      EGRESS_KINDS.map((kind) => [kind, { ...(egress[kind] ?? { messages: 0, bytes: 0 }) }]),
    );
  }

  /** A file that can't be read starts the count anew, as the file's `sinceMs` will say. */
  static async open(folder: string, nowMs: number): Promise<EgressLedger> {
    const path = join(folder, 'egress.json');
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const stored = parse(text);
    return new EgressLedger(path, stored?.sinceMs ?? nowMs, stored?.egress ?? {});
  }

  add(kind: EgressKind, bytes: number): void {
    const count = this.#counts.get(kind);
    if (count === undefined) return;
    count.messages += 1;
    count.bytes += bytes;
  }

  /**
   * Adds what a part has sent since it was last seen.
   *
   * @param part tells apart all parts that this start of the agent has had, such as an engine's process
   */
  seen(part: string, kind: EgressKind, total: EgressCount): void {
    const key = `${part} ${kind}`;
    const before = this.#seen.get(key) ?? { messages: 0, bytes: 0 };
    const count = this.#counts.get(kind);
    if (count === undefined) return;
    count.messages += total.messages - before.messages;
    count.bytes += total.bytes - before.bytes;
    this.#seen.set(key, total);
  }

  /** Kinds of which anything was sent. */
  get egress(): Egress {
    const sent = [...this.#counts].filter(([, { messages }]) => messages > 0);
    return Object.fromEntries(sent.map(([kind, count]) => [kind, { ...count }]));
  }

  async save(): Promise<void> {
    const file = { schema: 1, sinceMs: this.sinceMs, egress: this.egress };
    await writeFileAtomically(this.#path, `${JSON.stringify(file)}\n`);
  }
}

function parse(text: string): z.infer<typeof fileSchema> | null {
  try {
    return fileSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
