import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VersionShelf } from '../../../agent/rollout/version-shelf.ts';
import { ArtifactStore } from '../../../agent/store/artifacts.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';

const never = new AbortController().signal;

let server: ArtifactServer;
let folder: string;
let shelf: VersionShelf;
let version: string;
/** Answers that the server has not given yet. */
let held: ServerResponse[];
let late: () => void;
const refusals: string[] = [];

beforeEach(async () => {
  server = await new ArtifactServer().start();
  folder = await mkdtemp(join(tmpdir(), 'shelf-'));
  version = server.putVersion(Buffer.from('the bytes of a model'));
  held = [];
  refusals.length = 0;
  server.intercept = (_, res) => held.push(res) > 0;
  late = () => undefined;
  shelf = new VersionShelf(new ArtifactStore(folder), (_, { code }) => refusals.push(code), {
    patienceMs: 20,
    onLate: () => late(),
  });
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** Resolves once the server was asked. */
async function asked(): Promise<void> {
  while (held.length === 0) await new Promise(setImmediate);
}

const fetch = () => shelf.fetch(version, server.source, never);

/** Lets the download that is held go on, and all that follows. */
function release(): void {
  server.intercept = () => false;
  const bytes = server.files.get(version) ?? Buffer.alloc(0);
  for (const res of held.splice(0)) res.writeHead(200).end(bytes);
}

describe('DOWNLOAD-3: a download that takes long', () => {
  it('is not waited for, counts as unavailable, and is told when it has come', async () => {
    await fetch();
    expect(shelf.refused.get(version)).toMatchObject({ code: 'artifact-unavailable' });
    expect([shelf.filesOf(version), shelf.mayCome(version), refusals]).toEqual([null, true, []]);
    expect(shelf.isLate(version)).toBe(true);
    // Asked for again, it is the same download, also after everything was forgiven.
    shelf.forgive();
    await fetch();
    await asked();
    expect(held).toHaveLength(1);
    const arrived = new Promise<void>((resolve) => {
      late = resolve;
    });
    await asked();
    release();
    await arrived;
    expect(shelf.filesOf(version)?.manifest).toBe(version);
    expect([shelf.refused.size, shelf.isLate(version)]).toEqual([0, false]);
  });

  it('and fails, is told too', async () => {
    await fetch();
    const ended = new Promise<void>((resolve) => {
      late = resolve;
    });
    await asked();
    held[0].writeHead(403).end();
    await ended;
    expect(shelf.refused.get(version)?.detail).toContain('answered 403');
    // Once, however often it is tried: that it took long was no refusal.
    expect(shelf.mayCome(version)).toBe(true);
  });

  it('ends when it is not wanted any more, or refused for what it is, and is never at hand then', async () => {
    for (const end of [
      () => shelf.comeOnly([]),
      () => shelf.refuse(version, { code: 'not-released', detail: 'no release' }),
      () => void shelf.fetch(version, null, never),
    ]) {
      await fetch();
      await asked();
      const [res] = held.splice(0);
      const closed = once(res, 'close');
      end();
      await closed;
      res.destroy();
      await new Promise(setImmediate);
      expect(shelf.filesOf(version)).toBeNull();
      shelf.forgive();
    }
  });

  it('is never both at hand and on its way, whenever it comes', async () => {
    server.intercept = () => false;
    for (const patienceMs of [0, 1, 2, 3, 5, 8]) {
      for (let turn = 0; turn < 5; turn += 1) {
        await rm(folder, { recursive: true });
        let isLate: () => void = () => undefined;
        const arrived = new Promise<void>((resolve) => {
          isLate = resolve;
        });
        const store = new ArtifactStore(folder);
        shelf = new VersionShelf(store, () => undefined, { patienceMs, onLate: isLate });
        await fetch();
        if (shelf.filesOf(version) === null) await arrived;
        expect(shelf.filesOf(version)).not.toBeNull();
        expect(shelf.refused.size).toBe(0);
      }
    }
  });

  it('and goes on is kept by those who want it', async () => {
    await fetch();
    shelf.comeOnly([version]);
    const arrived = new Promise<void>((resolve) => {
      late = resolve;
    });
    await asked();
    release();
    await arrived;
    expect(shelf.filesOf(version)).not.toBeNull();
  });
});
