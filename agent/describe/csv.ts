import { CsvError, CsvRecords } from '../../protocol/csv.ts';
import { AgentError } from '../error.ts';

export interface CsvTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** RFC 4180 with commas. Every row has as many fields as the header. */
export function parseCsv(text: string, name: string): CsvTable {
  const [columns, ...rows] = recordsOf(text, name);
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

function recordsOf(text: string, name: string): string[][] {
  const records = new CsvRecords();
  try {
    return [...records.push(text), ...records.end()];
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new AgentError('configuration', `${name}, ${cause.message}`, { cause });
  }
}
