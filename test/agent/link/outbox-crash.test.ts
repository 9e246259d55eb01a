import { describe, expect, it } from 'vitest';
import { Outbox } from '../../../agent/link/outbox.ts';
import { decodeWindow, encodeWindow } from '../../../protocol/sketch/codec.ts';
import { emptyWindow } from '../../../protocol/sketch/window.ts';
import { decodeUp } from '../../../protocol/wire.ts';
import { telemetry } from '../../protocol/messages.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { Crash, CrashDisk } from '../../support/crash-disk.ts';

const FOLDER = 'outbox';
/** Each window counts in a cell of its own, so that a sum still says whose parts it holds. */
const CELLS = 64;
const values = Array.from({ length: CELLS }, (_, at) => at);
const grid = { kind: 'categorical' as const, values };
const GRIDS = { features: new Array(16).fill(grid), prediction: grid };

/** Counts as a control plane does: by (boot, sequence), each once. */
class Ledger {
  readonly #cursors = new Map<string, number>();
  readonly counted = new Float64Array(CELLS * GRIDS.features.length);

  take(frame: Uint8Array): { boot: string; sequence: number } {
    const message = decodeUp(frame);
    if (message.kind !== 'telemetry') throw new Error('not a window');
    const { boot, sequence, body } = message;
    if (sequence > (this.#cursors.get(boot) ?? 0)) {
      this.#cursors.set(boot, sequence);
      for (const [feature, { counts }] of decodeWindow(body).features.entries()) {
        for (let at = 0; at < CELLS; at += 1) this.counted[feature * CELLS + at] += counts[at];
      }
    }
    return { boot, sequence };
  }
}

function oneRow(at: number) {
  const { kind: _, boot: __, sequence: ___, windows: ____, ...place } = telemetry();
  const window = emptyWindow(GRIDS);
  window.features[Math.floor(at / CELLS)].counts[at % CELLS] = 1;
  return { ...place, windowStartMs: at * 1000, body: encodeWindow(window) };
}

interface Run {
  readonly ledger: Ledger;
  readonly disk: CrashDisk;
  appended: number;
  /** Those whose `append` resolved: they may never be lost. */
  readonly kept: Set<number>;
  dropped: number;
  coarsened: number;
}

/** One life of an agent: it appends, sends and hears acknowledgements, some of which are lost, until the power goes. */
async function live(run: Run, life: number, steps: number, random: () => number, maxBytes: number) {
  const boot = life.toString(16).padStart(16, '0');
  let outbox: Outbox | null = null;
  try {
    const onFailure = (error: unknown) => failed(error);
    outbox = await Outbox.open({ folder: FOLDER, boot, maxBytes, disk: run.disk, onFailure });
    let isLinked = random() < 0.5;
    for (let step = 0; step < steps; step += 1) {
      if (random() < 0.01) isLinked = !isLinked;
      if (!isLinked || random() < 0.8) {
        run.appended += 1;
        const at = run.appended;
        await outbox.append(oneRow(at));
        run.kept.add(at);
      } else await exchange(outbox, run.ledger, random);
    }
    await settle(outbox, run.ledger);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
    run.disk.restart();
  } finally {
    run.dropped += outbox?.dropped ?? 0;
    run.coarsened += outbox?.coarsened ?? 0;
  }
}

async function exchange(outbox: Outbox, ledger: Ledger, random: () => number): Promise<void> {
  await reserved(outbox);
  const onWire = outbox.take(
    1 + Math.floor(random() * 20),
    () => false,
    () => undefined,
  );
  for (const { frame } of onWire) {
    // Some never arrive, and of some the acknowledgement is lost.
    if (random() < 0.1) return;
    const { boot, sequence } = ledger.take(frame);
    if (random() < 0.5) await outbox.acknowledge(boot, sequence);
  }
}

/** Sends all that is left until it is acknowledged. */
async function settle(outbox: Outbox, ledger: Ledger): Promise<void> {
  while (outbox.pendingCount > 0) {
    await reserved(outbox);
    for (const { frame } of outbox.take(
      100,
      () => false,
      () => undefined,
    )) {
      const { boot, sequence } = ledger.take(frame);
      await outbox.acknowledge(boot, sequence);
    }
  }
}

/** Resolves when the first window may be sent; rejects when the disk does not take the mark. */
async function reserved(outbox: Outbox): Promise<void> {
  if (outbox.pendingCount === 0) return;
  await new Promise<void>((resolve, reject) => {
    failed = reject;
    const taken = outbox.take(1, () => false, resolve);
    if (taken.length > 0) resolve();
  });
}

/** Who waits for the mark. */
let failed: (error: unknown) => void = () => undefined;

describe('OUTBOX-3, OUTBOX-2: an outbox whose host loses its power', () => {
  it.each(Array.from({ length: 10 }, (_, block) => block))(
    'loses no window that was on disk, and none is counted twice: seeds %i × 34 and on, three crashes each',
    async (block) => {
      let coarsened = 0;
      for (let seed = block * 34; seed < block * 34 + 34; seed += 1) {
        const random = seededUniform(seed);
        const run = {
          ledger: new Ledger(),
          disk: new CrashDisk(random),
          appended: 0,
          kept: new Set<number>(),
          dropped: 0,
          coarsened: 0,
        };
        // Every other outbox is too small for what it gets, and adds windows up.
        const maxBytes = seed % 2 === 0 ? 1_000_000 : 25_000;
        for (let life = 1; life <= 3; life += 1) {
          run.disk.crashAfter(20 + Math.floor(random() * 900));
          await live(run, life, 200, random, maxBytes);
        }
        run.disk.restart();
        await live(run, 4, 0, random, maxBytes);
        const { counted } = run.ledger;
        const lost = [...run.kept].filter((at) => counted[at] === 0);
        const told = `seed ${seed}, ${run.dropped} dropped, ${run.coarsened} coarsened, lost ${lost}`;
        expect(lost.length, told).toBeLessThanOrEqual(run.dropped);
        expect(Math.max(...counted), told).toBe(1);
        expect(run.disk.bytesIn(FOLDER), told).toBeLessThan(500);
        coarsened += run.coarsened;
      }
      expect(coarsened).toBeGreaterThan(200);
    },
  );
});
