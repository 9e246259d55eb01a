import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';
import { z } from 'zod';
import { type Api, answers, type DeclaredRoute } from './api.ts';

/** Of the API, as its path says, and not of the package. */
const API_VERSION = '1.0.0';

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top }
code { font: 13px ui-monospace, monospace }
`;
// The page has no script, and only this style: nothing that is injected could run or load.
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
const POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'`;

/** Mount last: both show what has been declared until then. */
export function mountDocs(api: Api): void {
  api.route(
    'public',
    {
      method: 'get',
      path: '/api/v1/openapi.json',
      summary: 'This API as OpenAPI 3.1',
      responses: { 200: answers(z.looseObject({}), 'The document') },
    },
    (c) => {
      const document = api.hono.getOpenAPI31Document({
        openapi: '3.1.0',
        info: { title: 'Driftline control plane', version: API_VERSION },
      });
      return c.json({ ...document }, 200);
    },
  );
  api.route(
    'public',
    {
      method: 'get',
      path: '/docs',
      summary: 'This page',
      responses: {
        200: { description: 'A page', content: { 'text/html': { schema: z.string() } } },
      },
    },
    (c) => c.html(page(api.declared), 200, { 'content-security-policy': POLICY }),
  );
}

function page(routes: readonly DeclaredRoute[]) {
  const rows = routes.map(
    ({ method, path, permission, summary }) => html`<tr>
        <td><code>${method}</code></td>
        <td><code>${path}</code></td>
        <td>${summary}</td>
        <td><code>${permission}</code></td>
      </tr>`,
  );
  return html`<!doctype html>
    <html lang="en">
      <meta charset="utf-8" />
      <title>Driftline API</title>
      <style>${raw(STYLE)}</style>
      <h1>Driftline control plane API</h1>
      <p>
        Schemas: <a href="/api/v1/openapi.json">openapi.json</a>. Send
        <code>Authorization: Bearer dlt_…</code>. Errors are problem details (RFC 9457) with a
        <code>kind</code>.
      </p>
      <table>
        <tr><th>Method</th><th>Path</th><th>What it does</th><th>Permission</th></tr>
        ${rows}
      </table>
    </html>`;
}
