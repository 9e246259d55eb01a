/** Markup that is safe to put into a page. Made by `html` alone, so that nothing gets in without being escaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Part = Html | string | number | null | readonly Part[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  // No HTML document may hold it.
  '\0': '\ufffd',
};

/** For text and for values of quoted attributes. */
export function escaped(text: string): string {
  return text.replaceAll(/[&<>"'\0]/g, (sign) => ENTITIES[sign] ?? '');
}

/**
 * A template of markup: what stands in `${}` is escaped unless it is markup itself; lists are joined, null is nothing.
 * A line break with its indentation is left out beside a tag or a `${}`, and is a space between words.
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const fixed = fixedParts(strings);
  return new Html(
    fixed.reduce(
      (text, piece, at) => text + piece + (at < parts.length ? shown(parts[at]) : ''),
      '',
    ),
  );
}

function shown(part: Part): string {
  if (part === null) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(shown).join('');
  return escaped(String(part));
}

/** A template stands in the code once and is filled in hundreds of times. */
const FIXED = new WeakMap<TemplateStringsArray, readonly string[]>();

function fixedParts(strings: TemplateStringsArray): readonly string[] {
  const known = FIXED.get(strings);
  if (known !== undefined) return known;
  const fixed = strings.map((piece) =>
    piece.replaceAll(/(?<=[>]|^)\n\s*|\n\s*(?=<|$)/g, '').replaceAll(/\n\s*/g, ' '),
  );
  FIXED.set(strings, fixed);
  return fixed;
}

/** A name that somebody gave: its direction of writing stays its own, so that it can't turn what stands beside it. */
export function named(name: string): Html {
  return html`<bdi>${name}</bdi>`;
}
