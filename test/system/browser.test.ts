import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PageHost, PageHostOptions, PageHostState } from '../../agent/browser/page-host.ts';
import { eventsAfter } from '../../control-plane/audit/record.ts';
import type { HubDeps } from '../../control-plane/link/hub.ts';
import { findAgent } from '../../control-plane/store/agents.ts';
import { allRefusals } from '../../control-plane/store/reports.ts';
import { fingerprintOf, seal } from '../../protocol/signing.ts';
import { hasChromium, launchChromium } from '../support/browser.ts';
import { ControlFixture } from '../support/control-fixture.ts';
import { CuttableLine } from '../support/cuttable-line.ts';

const BUNDLE = new URL('../../dist/agent/program/page.js', import.meta.url);
const ACTOR = 'token:admin';

/** Of the site: it starts the host, and its other scripts can get at whatever belongs to its origin. */
const SCRIPT = `
  import { PageHost } from '/page.js';
  window.PageHost = PageHost;
  window.inTable = (ask) =>
    new Promise((resolve, reject) => {
      const opening = indexedDB.open('driftline');
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const database = opening.result;
        const asked = ask(database.transaction('host', 'readwrite').objectStore('host'));
        asked.onerror = () => reject(asked.error);
        asked.onsuccess = () => resolve(asked.result);
        asked.transaction.oncomplete = () => database.close();
      };
    });
`;

/** What the page keeps for the test to ask. */
interface Seen {
  host: PageHost;
  readonly states: PageHostState[];
  readonly generations: number[];
  readonly warnings: string[];
}
declare global {
  interface Window {
    PageHost: typeof PageHost;
    inTable<T>(ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T>;
    seen: Seen;
    opened: PageHost;
    asked: number;
  }
}

describe.skipIf(!hasChromium)(
  'HELLO-14: a host in a real browser (skipped without chromium)',
  () => {
    let browser: Browser;
    let site: Server;
    let siteUrl: string;
    let control: ControlFixture;
    let context: BrowserContext;

    beforeAll(async () => {
      const files: Readonly<Record<string, string>> = {
        '/': '<!doctype html><title>shop</title><script type="module" src="/shop.js"></script>',
        '/shop.js': SCRIPT,
        '/page.js': await readFile(BUNDLE, 'utf8'),
      };
      site = createServer(({ url = '/' }, response) => {
        response.setHeader('content-type', url.endsWith('.js') ? 'text/javascript' : 'text/html');
        // As a careful site would: no eval, nothing inline.
        response.setHeader('content-security-policy', "script-src 'self'");
        response.end(files[url]);
      });
      site.listen(0, '127.0.0.1');
      await once(site, 'listening');
      siteUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
      browser = await launchChromium(['--host-resolver-rules=MAP shop.example 127.0.0.1']);
    }, 30_000);
    afterAll(async () => {
      await browser?.close();
      site.close();
    });
    beforeEach(() => begin());
    afterEach(async () => {
      await context.close();
      await control.stop();
    });

    async function begin(change: Partial<HubDeps> = {}): Promise<void> {
      control = await ControlFixture.start(change);
      context = await browser.newContext();
    }

    const urlOf = (fixture: ControlFixture) => new URL(fixture.url.replace('ws:', 'http:')).origin;

    async function opened(): Promise<Page> {
      const page = await context.newPage();
      await page.goto(siteUrl);
      return page;
    }

    /** Opens a host in the page; resolves with why it could not be opened, or null. */
    function host(page: Page, options: PageHostOptions): Promise<string | null> {
      return page.evaluate(async (given) => {
        const [states, generations, warnings]: [PageHostState[], number[], string[]] = [[], [], []];
        const hooks = {
          onState: (state: PageHostState) => states.push(state),
          onDocument: ({ generation }: { generation: number }) => generations.push(generation),
          log: (level: string, message: string, detail?: object) => {
            if (level === 'warn') warnings.push(`${message} ${JSON.stringify(detail)}`);
          },
        };
        try {
          const opening = await window.PageHost.open({ ...given, ...hooks });
          window.seen = { host: opening, states, generations, warnings };
          return null;
        } catch (error) {
          return String(error);
        }
      }, options);
    }

    const until = (page: Page, state: PageHostState) =>
      page.waitForFunction((wanted) => window.seen.states.at(-1) === wanted, state);
    const agentOf = (page: Page) => page.evaluate(() => window.seen.host.agent ?? '');
    const fingerprintIn = (page: Page) => page.evaluate(() => window.seen.host.fingerprint());

    async function joined(change: Partial<PageHostOptions> = {}): Promise<Page> {
      const page = await opened();
      const joinToken = await control.token({ site: 'shop' });
      expect(await host(page, { controlUrl: urlOf(control), joinToken, ...change })).toBeNull();
      await until(page, 'online');
      return page;
    }

    async function rowOf(page: Page) {
      const row = await findAgent(control.store.read, await agentOf(page));
      if (row === null) throw new Error('the control plane knows no such host');
      return row;
    }

    it('joins with a key that it proves, and that no script of the page can read', async () => {
      const page = await joined();
      const row = await rowOf(page);
      expect(row).toMatchObject({ name: '127.0.0.1', labels: { site: 'shop' }, revokedAt: null });
      expect(row.capabilities).toMatchObject({ runtime: 'browser', engines: 0 });
      expect(row.capabilities.runtimeVersion).toMatch(/^Chrome\/\d/);
      expect(await fingerprintIn(page)).toBe(await fingerprintOf(row.publicKey));
      // All that a script of this origin can get at: the database itself.
      const stolen = await page.evaluate(async () => {
        const kept = await window.inTable((table) => table.get('identity'));
        const privateKey: CryptoKey = kept.key.privateKey;
        const read = (format: 'jwk' | 'pkcs8' | 'raw') =>
          crypto.subtle.exportKey(format as 'jwk', privateKey).then(
            () => `${format} was read`,
            (error: DOMException) => error.name,
          );
        const reads = await Promise.all([read('jwk'), read('pkcs8'), read('raw')]);
        return { type: privateKey.type, extractable: privateKey.extractable, reads };
      });
      expect(stolen).toEqual({
        ...{ type: 'private', extractable: false },
        reads: Array(3).fill('InvalidAccessError'),
      });
    });

    it('comes back after a reload with its key alone, and with the document that it had', async () => {
      const page = await joined();
      await page.waitForFunction(() => window.seen.generations.length > 0);
      const before = [await agentOf(page), await fingerprintIn(page)];
      const held = await page.evaluate(() => window.seen.host.desired?.generation ?? 0);
      await page.reload();
      expect(await host(page, { controlUrl: urlOf(control) })).toBeNull();
      // Before a word was said by anybody.
      expect(await page.evaluate(() => window.seen.host.desired?.generation)).toBe(held);
      await until(page, 'online');
      expect([await agentOf(page), await fingerprintIn(page)]).toEqual(before);
    });

    it('follows signed documents, and refuses the versions that it is told to serve', async () => {
      const page = await joined();
      await page.waitForFunction(() => window.seen.generations.length > 0);
      const generation = await page.evaluate(() => window.seen.host.desired?.generation ?? 0);
      await expect.poll(async () => (await rowOf(page)).observedGeneration).toBe(generation);
      const refusals = await allRefusals(control.store.read);
      expect(refusals).toMatchObject([{ deployment: 'loans', code: 'session-failed' }]);
      expect(refusals[0].detail).toContain('runs no models');
    });

    it('ROTATE-1: rotates its key when it is asked to, and keeps the new one alone', async () => {
      const page = await joined();
      const [agent, before] = [await agentOf(page), await fingerprintIn(page)];
      const { fingerprint } = await control.hub.agents.rotateKey(agent, ACTOR);
      expect(fingerprint).not.toBe(before);
      await expect.poll(async () => fingerprintOf((await rowOf(page)).publicKey)).toBe(fingerprint);
      await until(page, 'online');
      expect([await agentOf(page), await fingerprintIn(page)]).toEqual([agent, fingerprint]);
      const kept = await page.evaluate(async () => {
        const { key, next } = await window.inTable((table) => table.get('identity'));
        return { extractable: key.privateKey.extractable, next };
      });
      expect(kept).toEqual({ extractable: false, next: null });
      await page.reload();
      await host(page, { controlUrl: urlOf(control) });
      await until(page, 'online');
      expect(await fingerprintIn(page)).toBe(fingerprint);
    });

    it('REVOKE-1: is sent away by its revocation, for good', async () => {
      const page = await joined();
      await control.hub.agents.revoke(await agentOf(page), 'lost', ACTOR);
      await until(page, 'refused');
      await page.reload();
      await host(page, { controlUrl: urlOf(control) });
      await until(page, 'refused');
    });

    it('HELLO-13: waits for an operator who compares its fingerprint', async () => {
      await control.stop();
      await context.close();
      await begin({ admission: { requireApproval: true, minProtocol: 1 } });
      const page = await opened();
      await host(page, { controlUrl: urlOf(control), joinToken: await control.token() });
      await until(page, 'pending');
      const fingerprint = (await fingerprintIn(page)) ?? '';
      await control.hub.agents.approve(await agentOf(page), { fingerprint }, ACTOR);
      await until(page, 'online');
    });

    it('makes one key where two tabs open at once for the first time', async () => {
      const [first, second] = [await opened(), await opened()];
      const joinToken = await control.token();
      const options = { controlUrl: urlOf(control), joinToken };
      await Promise.all([host(first, options), host(second, options)]);
      const last = (page: Page) => page.evaluate(() => window.seen.states.at(-1) ?? '');
      const states = async () => (await Promise.all([last(first), last(second)])).sort();
      await expect.poll(states).toEqual(['online', 'other-tab']);
      expect(await fingerprintIn(first)).toBe(await fingerprintIn(second));
    });

    it('is one host in all tabs of its site: the next tab takes the link when the first is closed', async () => {
      const first = await joined();
      const agent = await agentOf(first);
      const second = await opened();
      await host(second, { controlUrl: urlOf(control) });
      await until(second, 'other-tab');
      expect(await first.evaluate(() => window.seen.states)).not.toContain('other-tab');
      await first.close();
      await until(second, 'online');
      expect(await agentOf(second)).toBe(agent);
    });

    it('reads what is kept when its turn comes: the key was rotated while it waited', async () => {
      const first = await joined();
      const second = await opened();
      await host(second, { controlUrl: urlOf(control) });
      await until(second, 'other-tab');
      const { fingerprint } = await control.hub.agents.rotateKey(await agentOf(first), ACTOR);
      await expect
        .poll(async () => fingerprintOf((await rowOf(first)).publicKey))
        .toBe(fingerprint);
      await first.evaluate(() => window.seen.host.stop());
      await until(second, 'online');
      expect(await fingerprintIn(second)).toBe(fingerprint);
    });

    it('lets another tab try once it was refused for good', async () => {
      const used = await control.token();
      await (await control.agent()).cut();
      const page = await opened();
      const joinToken = `${used.slice(0, 13)}${'0'.repeat(64)}${used.slice(77)}`;
      await host(page, { controlUrl: urlOf(control), joinToken });
      await until(page, 'refused');
      const other = await opened();
      await host(other, { controlUrl: urlOf(control), joinToken: await control.token() });
      await until(other, 'online');
    });

    it("is not stopped by errors of the site's own, nor by a document that nobody stands behind any more", async () => {
      const page = await joined();
      await page.waitForFunction(() => window.seen.generations.length > 0);
      await page.evaluate(async () => {
        const stored = await window.inTable((table) => table.get('document'));
        stored.envelope.keyId = '0'.repeat(16);
        await window.inTable((table) => table.put(stored, 'document'));
      });
      await page.reload();
      const errors: string[] = [];
      page.on('pageerror', ({ message }) => errors.push(message));
      await page.evaluate(async (controlUrl) => {
        const fail = (what: string) => {
          throw new Error(`of the site, ${what}`);
        };
        window.opened = await window.PageHost.open({
          controlUrl,
          onState: (state) => fail(state),
          onDocument: () => fail('document'),
        });
      }, urlOf(control));
      await expect.poll(() => errors).toContain('of the site, document');
      expect(errors).toContain('of the site, online');
      const said = JSON.stringify(await eventsAfter(control.store.read, 0, 50));
      expect(said).not.toContain('desired-refused');
    });

    it('asks for a token only before it has joined, and lets its database be deleted while it is open', async () => {
      const page = await opened();
      const joinToken = await control.token();
      const open = () =>
        page.evaluate(
          async ([controlUrl, token]) => {
            window.asked = 0;
            const given = async () => {
              window.asked += 1;
              return token;
            };
            window.opened = await window.PageHost.open({ controlUrl, joinToken: given });
          },
          [urlOf(control), joinToken],
        );
      await open();
      await page.waitForFunction(() => window.opened.agent !== null);
      expect(await page.evaluate(() => window.asked)).toBe(1);
      await page.reload();
      await open();
      expect(await page.evaluate(() => window.asked)).toBe(0);
      const gone = page.evaluate(
        () =>
          new Promise((resolve) => {
            const deleting = indexedDB.deleteDatabase('driftline');
            deleting.onsuccess = () => resolve('deleted');
            deleting.onblocked = () => resolve('blocked');
          }),
      );
      expect(await gone).toBe('deleted');
    });

    it('HELLO-4: does not join a control plane that its token does not name, nor change to another later', async () => {
      const other = await ControlFixture.start();
      try {
        const page = await opened();
        const joinToken = await control.token();
        await host(page, { controlUrl: urlOf(other), joinToken });
        await page.waitForFunction(() => window.seen.warnings.length > 0);
        const said = await page.evaluate(() => window.seen.warnings[0]);
        expect(said).toContain('no root that the join token names');
        expect(await agentOf(page)).toBe('');
        await page.evaluate(() => window.seen.host.stop());
        await host(page, { controlUrl: urlOf(control), joinToken });
        await until(page, 'online');
        await page.reload();
        await host(page, { controlUrl: urlOf(other) });
        await page.waitForFunction(() => window.seen.warnings.length > 0);
        expect(await page.evaluate(() => window.seen.warnings[0])).toContain(
          'does not name as online',
        );
      } finally {
        await other.stop();
      }
    });

    it('LINK-13: hears that the control plane is there, and leaves a line on which nothing is heard', async () => {
      await control.stop();
      await context.close();
      await begin({ pingIntervalMs: 500 });
      const line = await CuttableLine.to(() => Number(new URL(urlOf(control)).port));
      try {
        const page = await opened();
        await page.clock.install();
        const socket = page.waitForEvent('websocket');
        await host(page, { controlUrl: line.url, joinToken: await control.token() });
        await until(page, 'online');
        // Two minutes of a page's time, in which it heard of nothing else.
        for (let passed = 0; passed < 6; passed += 1) {
          await page.clock.runFor(20_000);
          await (await socket).waitForEvent('framereceived');
        }
        expect(await page.evaluate(() => window.seen.states.at(-1))).toBe('online');
        line.stall();
        await page.clock.runFor(46_000);
        expect(await page.evaluate(() => window.seen.states)).toContain('waiting');
      } finally {
        await line.close();
      }
    });

    it('ATTACK-10: keeps both documents where two of one generation are signed, and says so', async () => {
      const page = await joined();
      await page.waitForFunction(() => window.seen.generations.length > 0);
      const payload = await page.evaluate(async () => {
        const { envelope } = await window.inTable((table) => table.get('document'));
        return [...(envelope.payload as Uint8Array)];
      });
      const document = JSON.parse(Buffer.from(payload).toString());
      const other = Buffer.from(JSON.stringify({ ...document, deployments: [] }));
      const { keyId, signature } = await seal(control.key, 'desired', other);
      await page.evaluate(
        async ({ keyId, ...bytes }) => {
          const [payload, signature] = [bytes.payload, bytes.signature].map((of) =>
            Uint8Array.from(of),
          );
          const stored = { envelope: { payload, keyId, signature }, releases: [] };
          await window.inTable((table) => table.put(stored, 'document'));
        },
        { payload: [...other], keyId, signature: [...signature] },
      );
      await page.reload();
      await host(page, { controlUrl: urlOf(control) });
      await page.waitForFunction(() => window.seen.warnings.length > 0);
      expect(await page.evaluate(() => window.seen.warnings[0])).toContain(
        'two documents of generation',
      );
      const kept = (await page.evaluate(
        (key) => window.inTable((table) => table.get(key)),
        `evidence-${document.generation}`,
      )) as unknown[];
      expect(kept).toHaveLength(2);
      const said = async () => JSON.stringify(await eventsAfter(control.store.read, 0, 50));
      await expect.poll(said).toContain('equivocation');
    });

    it('says so where the page is no secure context, which has neither keys nor locks', async () => {
      const page = await context.newPage();
      await page.goto(siteUrl.replace('127.0.0.1', 'shop.example'));
      const told = await host(page, {
        controlUrl: urlOf(control),
        joinToken: await control.token(),
      });
      expect(told).toContain('http://shop.example');
      expect(told).toContain('is no secure context');
    });

    it('says what is wrong with an option, and keeps nothing of it', async () => {
      const page = await opened();
      const controlUrl = urlOf(control);
      const refused: readonly (readonly [PageHostOptions, string])[] = [
        [{ controlUrl: 'ftp://control' }, 'controlUrl is "ftp://control": it must be an http'],
        [{ controlUrl: 'http://control.example' }, 'it must be an https URL'],
        [{ controlUrl, joinToken: 'secret' }, 'not of the form dlj_'],
        [{ controlUrl, name: '../x' }, 'name is "../x"'],
        [{ controlUrl, labels: { 'a b': 'c' } }, 'labels is'],
        [{ controlUrl }, 'has not joined: give a join token'],
      ];
      for (const [options, told] of refused) expect(await host(page, options)).toContain(told);
      await page.evaluate(() => window.inTable((table) => table.put({ key: 'mine' }, 'identity')));
      expect(await host(page, { controlUrl })).toContain('is not valid; delete that database');
    });
  },
);
