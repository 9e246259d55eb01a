/** Longest record, in UTF-16 code units: one quote that is never closed must not take the rest of a file with it. */
export const MAX_RECORD_LENGTH = 16 * 1024 * 1024;

/** Text that is no CSV. The message names the record and what is wrong; the caller adds the file. */
export class CsvError extends Error {
  override readonly name = 'CsvError';
}

const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = 0xfeff;

/**
 * RFC 4180 piece by piece: `push` takes text as it comes and gives the records that ended in it, `end` the last one.
 * Double quotes, CRLF or LF, byte order mark; lines without anything on them are left out.
 *
 *     start of field ──"──▶ quoted ──"──▶ after quote ──"──▶ quoted
 *           │                                  └── delimiter, line end ──▶ start of field
 *           └──▶ plain, to the next delimiter or line end (a quote within it is a character)
 */
export class CsvRecords {
  readonly #delimiter: number;
  /** What has not ended yet, from the start of its record. */
  #rest = '';
  #records = 0;
  #started = false;

  /** @param delimiter one character, no quote and no line end */
  constructor(delimiter = ',') {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  /** @throws CsvError when a record is longer than MAX_RECORD_LENGTH, or text follows a closing quote */
  push(text: string): string[][] {
    const records: string[][] = [];
    const all = this.#rest + this.#withoutMark(text);
    let at = 0;
    for (;;) {
      const record: string[] = [];
      const next = this.#record(all, at, record, false);
      if (next === -1) break;
      this.#keep(record, records);
      at = next;
    }
    this.#rest = all.slice(at);
    if (this.#rest.length > MAX_RECORD_LENGTH) {
      throw new CsvError(
        `record ${this.#records + 1}: longer than ${MAX_RECORD_LENGTH} characters; is a quote not closed?`,
      );
    }
    return records;
  }

  /** @throws CsvError when a quote is not closed */
  end(): string[][] {
    const records: string[][] = [];
    if (this.#rest !== '') {
      const record: string[] = [];
      this.#record(this.#rest, 0, record, true);
      this.#keep(record, records);
    }
    this.#rest = '';
    return records;
  }

  #withoutMark(text: string): string {
    const marked = !this.#started && text.charCodeAt(0) === BYTE_ORDER_MARK;
    if (text !== '') this.#started = true;
    return marked ? text.slice(1) : text;
  }

  #keep(record: string[], records: string[][]): void {
    if (record.length === 1 && record[0] === '') return;
    this.#records += 1;
    records.push(record);
  }

  /** Where the record from `at` ends, its line end included; -1 when it doesn't end in `text`. */
  #record(text: string, from: number, record: string[], last: boolean): number {
    const delimiter = this.#delimiter;
    let at = from;
    for (;;) {
      if (text.charCodeAt(at) === QUOTE) {
        at = this.#quoted(text, at, record, last);
        if (at === -1) return -1;
      } else {
        const start = at;
        let code = text.charCodeAt(at);
        while (at < text.length && code !== delimiter && code !== LINE_FEED) {
          at += 1;
          code = text.charCodeAt(at);
        }
        if (at === text.length && !last) return -1;
        const end =
          at > start && code !== delimiter && text.charCodeAt(at - 1) === CARRIAGE_RETURN
            ? at - 1
            : at;
        record.push(text.slice(start, end));
      }
      if (at >= text.length) return at;
      at += 1;
      if (text.charCodeAt(at - 1) === LINE_FEED) return at;
    }
  }

  /** Where the delimiter or line feed behind a quoted field is; -1 when it isn't in `text` yet. */
  #quoted(text: string, from: number, record: string[], last: boolean): number {
    let close = text.indexOf('"', from + 1);
    let doubled = false;
    while (close !== -1 && text.charCodeAt(close + 1) === QUOTE) {
      doubled = true;
      close = text.indexOf('"', close + 2);
    }
    // At the very end of a piece it may be the first half of a doubled quote, or of CRLF.
    if (close === -1 || (!last && close + 2 >= text.length)) {
      if (last) throw new CsvError(`record ${this.#records + 1}: a quote is not closed`);
      return -1;
    }
    let at = close + 1;
    if (text.charCodeAt(at) === CARRIAGE_RETURN) at += 1;
    const code = text.charCodeAt(at);
    if (at < text.length && code !== this.#delimiter && code !== LINE_FEED) {
      throw new CsvError(
        `record ${this.#records + 1}: "${text.slice(at, at + 20)}" behind a closing quote`,
      );
    }
    const field = text.slice(from + 1, close);
    record.push(doubled ? field.replaceAll('""', '"') : field);
    return at;
  }
}
