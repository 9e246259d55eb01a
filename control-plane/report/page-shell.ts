import { Html, html } from './html.ts';
import { PAGE_POLICY, STYLE } from './style.ts';

/** A whole document that needs nothing from elsewhere, with no script. */
export function page(title: string, body: Html): string {
  // The style is ours and must stand there as its hash says: neither escaped nor folded.
  const style = new Html(`<style>${STYLE}</style>`);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="referrer" content="no-referrer">
        <title>${title}</title>
        ${style}
      </head>
      <body>${body}</body>
    </html>`.text;
}
