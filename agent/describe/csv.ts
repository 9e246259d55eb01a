import { AgentError } from '../error.ts';

export interface CsvTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** RFC 4180: commas, double quotes, CRLF or LF. Every row has as many fields as the header. */
export function parseCsv(text: string, name: string): CsvTable {
  const records = splitRecords(text.startsWith('\uFEFF') ? text.slice(1) : text);
  const [columns, ...rows] = records;
  if (columns === undefined || rows.length === 0) {
    throw new AgentError('configuration', `${name} needs a header line and at least one row`);
  }
  for (const [at, row] of rows.entries()) {
    if (row.length !== columns.length) {
      throw new AgentError(
        'configuration',
        `${name}, row ${at + 1}: ${row.length} fields, the header has ${columns.length}`,
      );
    }
  }
  return { columns, rows };
}

function splitRecords(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let field = '';
  let quoted = false;
  const endRecord = () => {
    record.push(field);
    field = '';
    if (record.length > 1 || record[0] !== '') records.push(record);
    record = [];
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (char === '"' && field === '') quoted = true;
    else if (char === ',') {
      record.push(field);
      field = '';
    } else if (char === '\n') endRecord();
    else if (char !== '\r') field += char;
  }
  if (field !== '' || record.length > 0) endRecord();
  return records;
}
