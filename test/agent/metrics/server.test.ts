import { afterEach, describe, expect, it } from 'vitest';
import { MetricsServer } from '../../../agent/metrics/server.ts';

let server: MetricsServer;
afterEach(() => server.close());

async function get(path: string, method = 'GET', render = async () => 'up 1\n') {
  server = await MetricsServer.open('127.0.0.1', 0, render);
  const res = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return { status: res.status, type: res.headers.get('content-type'), text: await res.text() };
}

describe('the metrics port', () => {
  it('answers a scrape in the text format', async () => {
    const type = 'text/plain; version=0.0.4; charset=utf-8';
    expect(await get('/metrics?x=1')).toEqual({ status: 200, type, text: 'up 1\n' });
  });

  it('has nothing else, and takes nothing else', async () => {
    expect((await get('/')).status).toBe(404);
    server.close();
    expect((await get('/metrics', 'POST')).status).toBe(405);
  });

  it('says so when there are no figures', async () => {
    const failing = () => Promise.reject(new Error('no figures'));
    expect(await get('/metrics', 'GET', failing)).toMatchObject({
      status: 500,
      text: 'no figures\n',
    });
  });
});
