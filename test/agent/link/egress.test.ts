import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EgressLedger } from '../../../agent/link/egress.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'egress-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('EGRESS-1: the account of what leaves a host', () => {
  it('adds up by kind, and leaves out what sent nothing', async () => {
    const ledger = await EgressLedger.open(folder, 5);
    ledger.add('telemetry', 100);
    ledger.add('telemetry', 50);
    ledger.add('event', 7);
    expect(ledger.egress).toEqual({
      telemetry: { messages: 2, bytes: 150 },
      event: { messages: 1, bytes: 7 },
    });
    expect(ledger.sinceMs).toBe(5);
  });

  it('goes on after a restart, from when it first began', async () => {
    const first = await EgressLedger.open(folder, 5);
    first.add('report', 10);
    await first.save();
    const second = await EgressLedger.open(folder, 99);
    second.add('report', 1);
    expect(second.sinceMs).toBe(5);
    expect(second.egress).toEqual({ report: { messages: 2, bytes: 11 } });
  });

  it('counts of an engine only what is new since it was last seen, and a new engine from nothing', async () => {
    const ledger = await EgressLedger.open(folder, 0);
    ledger.seen('71', 'features', { messages: 3, bytes: 300 });
    ledger.seen('71', 'features', { messages: 5, bytes: 450 });
    ledger.seen('72', 'features', { messages: 1, bytes: 20 });
    ledger.seen('71', 'features', { messages: 5, bytes: 450 });
    expect(ledger.egress).toEqual({ features: { messages: 6, bytes: 470 } });
  });

  it.each(['{', '{"schema":2}', '{"schema":1,"sinceMs":1,"egress":{"telemetry":{"bytes":-1}}}'])(
    'begins anew from a file that holds %s, and says since when',
    async (text) => {
      await writeFile(join(folder, 'egress.json'), text);
      const ledger = await EgressLedger.open(folder, 77);
      expect(ledger.sinceMs).toBe(77);
      expect(ledger.egress).toEqual({});
    },
  );
});
