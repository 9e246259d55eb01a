import type { Tuning, TuningRow } from '../../protocol/tuning.ts';
import type { StoredTuning } from '../http/tuning.ts';
import { type Terminal, table } from './terminal.ts';
import { showTime } from './values.ts';

/** A tuning as a table, the recommended row marked. `agent` null: its id is all that is known. */
export function sayTuning(terminal: Terminal, stored: StoredTuning, agent: string | null): void {
  const { tuning, at } = stored;
  const cores = `${tuning.cores} core${tuning.cores === 1 ? '' : 's'}`;
  const where = `on ${agent ?? stored.agent} with ${cores}`;
  terminal.say(
    terminal.paint('dim', `MEASURED ${showTime(at)} of version ${tuning.version} ${where}`),
  );
  const header = ['', 'placement', 'workers', 'threads', 'batch', 'us per call', 'rows/s'];
  const cells = tuning.rows.map((row) => cellsOf(row, isRecommended(tuning, row)));
  const lines = table(alignRight([header, ...cells])).split('\n');
  for (const [at, line] of lines.entries()) {
    const row = tuning.rows[at - 1];
    const marked = row !== undefined && isRecommended(tuning, row);
    terminal.say(marked ? terminal.paint('green', line) : line);
  }
  terminal.say(`recommended: ${tuning.reason}`);
  if (!tuning.rowsIndependent) {
    terminal.say(
      'requests do not share calls: its golden rows do not show that rows are independent',
    );
  }
  if (tuning.leftOut !== null) terminal.say(terminal.paint('dim', `left out: ${tuning.leftOut}`));
}

function cellsOf(row: TuningRow, marked: boolean): string[] {
  return [
    marked ? '*' : '',
    row.placement,
    row.placement === 'inline' ? '' : String(row.workers),
    String(row.intraOpThreads),
    String(row.batchSize),
    row.callUs < 100 ? row.callUs.toFixed(1) : row.callUs.toFixed(0),
    row.rowsPerSecond.toFixed(0),
  ];
}

/** The row that runs as recommended: its placement, its threads and its largest batch. */
export function isRecommended({ recommended, rows }: Tuning, row: TuningRow): boolean {
  const { placement, workers = 0, intraOpThreads, batching } = recommended;
  const placed = (each: TuningRow) =>
    each.placement === placement &&
    each.workers === workers &&
    each.intraOpThreads === intraOpThreads;
  if (!placed(row)) return false;
  const only = rows.filter(placed).length === 1;
  return only || row.batchSize === batching?.maxBatchSize;
}

/** Numbers are read by their last digit. */
function alignRight(rows: readonly (readonly string[])[]): string[][] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row.map((cell, column) => (column < 2 ? cell : cell.padStart(widths[column] ?? 0))),
  );
}
