import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Packr } from 'msgpackr';
import { type DesiredState, desiredStateSchema } from '../../protocol/desired.ts';
import { ProtocolError } from '../../protocol/error.ts';
import { type Envelope, envelopeSchema, open } from '../../protocol/signing.ts';
import { describe } from '../../protocol/wire.ts';
import type { PlannedArm, ServingPlan } from '../engine/messages.ts';
import { writeFileAtomically } from '../store/atomic-file.ts';
import type { Fallbacks } from './fallback.ts';

const packr = new Packr({ useRecords: false });

/** Verifies an envelope against the pinned key and reads what it says. Throws `ProtocolError`. */
export async function openDesired(
  envelope: Envelope,
  controlKey: Uint8Array,
  agent: string,
): Promise<DesiredState> {
  const payload = await open(controlKey, 'desired', envelope);
  const parsed = desiredStateSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)));
  if (!parsed.success) {
    throw new ProtocolError('schema', `the desired state is invalid: ${describe(parsed.error)}`);
  }
  if (parsed.data.agent !== agent) {
    throw new ProtocolError(
      'signature',
      `the desired state is for ${parsed.data.agent}, not for ${agent}`,
    );
  }
  return parsed.data;
}

/** The last accepted desired state and the last plan that all engines served, so that a restart needs no network. */
export class DesiredStore {
  readonly #desiredPath: string;
  readonly #lastGoodPath: string;
  readonly #fallbackPath: string;

  constructor(folder: string) {
    this.#desiredPath = join(folder, 'desired.bin');
    this.#lastGoodPath = join(folder, 'last-good.json');
    this.#fallbackPath = join(folder, 'fallback.json');
  }

  async saveDesired(envelope: Envelope): Promise<void> {
    await writeFileAtomically(this.#desiredPath, Uint8Array.from(packr.pack(envelope)));
  }

  /** Null when there is none; throws when it isn't what the pinned key signed. */
  async loadDesired(controlKey: Uint8Array, agent: string): Promise<DesiredState | null> {
    const bytes = await readOrNull(this.#desiredPath);
    if (bytes === null) return null;
    return openDesired(envelopeSchema.parse(packr.unpack(bytes)), controlKey, agent);
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
