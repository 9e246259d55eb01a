export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const CODES: Record<Colour, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

interface Sink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface TerminalOptions {
  readonly out: Sink;
  readonly err: Sink;
  readonly json: boolean;
  readonly colour: boolean;
}

/**
 * Where a command speaks. People get `say` and `paint`; with --json programs get what `result` was
 * given, in one line, and nothing else on stdout.
 */
export class Terminal {
  readonly json: boolean;
  readonly #out: Sink;
  readonly #err: Sink;
  readonly #colour: boolean;

  constructor({ out, err, json, colour }: TerminalOptions) {
    this.#out = out;
    this.#err = err;
    this.json = json;
    this.#colour = colour;
  }

  say(text = ''): void {
    if (!this.json) this.#out.write(`${text}\n`);
  }

  /** For people even when stdout is for programs. */
  warn(text: string): void {
    this.#err.write(`${text}\n`);
  }

  result(value: unknown): void {
    if (this.json) this.#out.write(`${JSON.stringify(value)}\n`);
  }

  paint(colour: Colour, text: string): string {
    return this.#colour ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
  }

  /** A line that is written over by the next; nothing where stderr is no terminal. */
  progress(text: string): void {
    if (this.#err.isTTY && !this.json) this.#err.write(`\r\u001b[K${text}`);
  }

  progressDone(): void {
    this.progress('');
  }
}

/** Columns as wide as their widest cell. Cells may be painted: escape codes take no room. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) {
      widths[at] = Math.max(widths[at] ?? 0, widthOf(cell));
    }
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, at) => cell + ' '.repeat((widths[at] ?? 0) - widthOf(cell)));
      return cells.join('  ').trimEnd();
    })
    .join('\n');
}

function widthOf(cell: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes begin with one
  return cell.replaceAll(/\u001b\[\d+m/g, '').length;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `width` characters for `share` in [0, 1], in eighths of a character. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(Math.max(share, 0), 1) * width * 8);
  const text = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
  return text.padEnd(width);
}
