import { Ingest } from '../../control-plane/merge/ingest.ts';
import type { Refused } from '../../control-plane/merge/refuse.ts';
import { keepWindows, type Retention } from '../../control-plane/merge/retention.ts';
import { insertAssignments } from '../../control-plane/store/assignments.ts';
import { Store } from '../../control-plane/store/database.ts';
import { insertDeployment } from '../../control-plane/store/deployments.ts';
import { windowPages } from '../../control-plane/store/window-pages.ts';
import { decodeWindow, encodeWindow } from '../../protocol/sketch/codec.ts';
import {
  emptyWindow,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';
import { temporaryFolder } from './mortgage.ts';
import { GRIDS } from './synthetic-windows.ts';

export const MANIFEST = `sha256:${'0'.repeat(64)}`;
export const HOST = `agt_${'1'.repeat(24)}`;

/** Ingest, roll-ups and retention on a real database, with a clock that stands where it is put. */
export class MergeFixture {
  readonly store: Store;
  readonly retention: Retention;
  readonly refused: Refused[] = [];
  /** Past every window that a test adds, until it says otherwise. */
  now = 30_000 * 86_400_000;
  readonly #ingest: Ingest;
  readonly #grids: WindowGrids;
  readonly #remove: () => Promise<void>;
  #sequence = 0;

  private constructor(store: Store, grids: WindowGrids, remove: () => Promise<void>) {
    this.store = store;
    this.#remove = remove;
    const now = () => this.now;
    this.#grids = grids;
    const shape = { features: ['x'], grids, predicts: true, reference: null };
    this.#ingest = new Ingest({
      store,
      shapeOf: async (manifest) => (manifest === MANIFEST ? shape : null),
      now,
      onMerged: () => undefined,
      onRefused: (_, refused) => this.refused.push(refused),
    });
    const onFailure = (where: string, error: unknown) => {
      throw new Error(where, { cause: error });
    };
    this.retention = keepWindows({ store, now, onFailure });
  }

  static async open(grids: WindowGrids = GRIDS): Promise<MergeFixture> {
    const folder = await temporaryFolder();
    const store = await Store.open(folder.path);
    await store.write((tx) =>
      insertDeployment(tx, {
        ...{ name: 'd', model: 'm', version: 1, selector: {}, windowMs: 300_000 },
        ...{ createdAt: 0, updatedAt: 0 },
      }),
    );
    const fixture = new MergeFixture(store, grids, folder.remove);
    await fixture.assign(HOST);
    return fixture;
  }

  /** Makes the deployment one that this host was asked to serve. */
  assign(agentId: string): Promise<void> {
    return this.store.write((tx) => insertAssignments(tx, [{ agentId, deployment: 'd' }]));
  }

  async add(windowStartMs: number, window: WindowSketch | Uint8Array, change = {}): Promise<void> {
    this.#sequence += 1;
    await this.#ingest.add({
      ...{ agentId: HOST, boot: 'a'.repeat(16), sequence: this.#sequence },
      ...{ deployment: 'd', manifest: MANIFEST, arm: 'stable', windowStartMs, windowMs: 300_000 },
      windows: 1,
      body: window instanceof Uint8Array ? window : encodeWindow(window),
      ...change,
    });
  }

  /** Everything in a span as one window, and in how many rows it was found. */
  async sum(fromMs: number, toMs: number, stepMs: number) {
    const total = emptyWindow(this.#grids);
    let rows = 0;
    const query = { deployment: 'd', manifest: MANIFEST, arm: null, fromMs, toMs };
    const hosts = { agents: [], labels: {} };
    for await (const page of windowPages(this.store.read, { ...query, hosts }, stepMs)) {
      for (const { body } of page) mergeWindow(total, decodeWindow(body));
      rows += page.length;
    }
    return { total, rows };
  }

  async close(): Promise<void> {
    await this.retention.close();
    await this.store.close();
    await this.#remove();
  }
}
