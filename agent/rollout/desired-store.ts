import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Packr } from 'msgpackr';
import { z } from 'zod';
import { type Envelope, envelopeSchema } from '../../protocol/signing.ts';
import { type Signed, signedSchema } from '../../protocol/trust/signed.ts';
import type { PlannedArm, ServingPlan } from '../engine/messages.ts';
import { writeFileAtomically } from '../store/atomic-file.ts';
import type { Fallbacks } from './fallback.ts';

const packr = new Packr({ useRecords: false });

/** A document with the releases that came with it. */
export interface StoredDesired {
  readonly envelope: Envelope;
  readonly releases: readonly Signed[];
}

const storedSchema = z.object({ envelope: envelopeSchema, releases: z.array(signedSchema) });

/** Each is two documents of at most a frame; whoever can make one can make many. */
const MAX_EVIDENCE_FILES = 16;

/** The last accepted desired state and the last plan that all engines served, so that a restart needs no network. */
export class DesiredStore {
  readonly #desiredPath: string;
  readonly #lastGoodPath: string;
  readonly #fallbackPath: string;
  readonly #evidenceFolder: string;

  constructor(folder: string) {
    this.#desiredPath = join(folder, 'desired.bin');
    this.#lastGoodPath = join(folder, 'last-good.json');
    this.#fallbackPath = join(folder, 'fallback.json');
    this.#evidenceFolder = join(folder, 'evidence');
  }

  async saveDesired(stored: StoredDesired): Promise<void> {
    await writeFileAtomically(this.#desiredPath, Uint8Array.from(packr.pack(stored)));
  }

  /** Null when there is none; its signature is still to be verified. Throws on a file that is no document. */
  async loadDesired(): Promise<StoredDesired | null> {
    const bytes = await readOrNull(this.#desiredPath);
    if (bytes === null) return null;
    const value: unknown = packr.unpack(bytes);
    const parsed = storedSchema.safeParse(value);
    // Builds before there were releases kept the envelope alone.
    return parsed.success ? parsed.data : { envelope: envelopeSchema.parse(value), releases: [] };
  }

  /** Keeps envelopes that can't both be true. Returns where they are. */
  async keepEvidence(generation: number, envelopes: readonly Envelope[]): Promise<string> {
    await mkdir(this.#evidenceFolder, { recursive: true, mode: 0o700 });
    const path = join(this.#evidenceFolder, `equivocation-${generation}.bin`);
    const there = await readdir(this.#evidenceFolder);
    if (there.includes(basename(path)) || there.length >= MAX_EVIDENCE_FILES) {
      return this.#evidenceFolder;
    }
    await writeFileAtomically(path, Uint8Array.from(packr.pack(envelopes)));
    return path;
  }

  async saveLastGood(plan: ServingPlan): Promise<void> {
    await writeFileAtomically(this.#lastGoodPath, `${JSON.stringify(plan, null, 2)}\n`);
  }

  /** Written by this agent into its own folder, so its shape is trusted. */
  async loadLastGood(): Promise<ServingPlan | null> {
    const bytes = await readOrNull(this.#lastGoodPath);
    if (bytes === null) return null;
    const plan = JSON.parse(bytes.toString('utf8')) as ServingPlan;
    // An older build of this agent wrote no `serving`.
    const deployments = plan.deployments.map((each) => ({ ...each, serving: each.serving ?? {} }));
    return { ...plan, deployments };
  }

  /** What to go back to should the plan that is served now turn out to kill engines. */
  async saveFallbacks(fallbacks: Fallbacks): Promise<void> {
    const text = JSON.stringify(Object.fromEntries(fallbacks), null, 2);
    await writeFileAtomically(this.#fallbackPath, `${text}\n`);
  }

  async loadFallbacks(): Promise<Fallbacks> {
    const bytes = await readOrNull(this.#fallbackPath);
    if (bytes === null) return new Map();
    return new Map(
      Object.entries(JSON.parse(bytes.toString('utf8')) as Record<string, PlannedArm>),
    );
  }
}

async function readOrNull(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
