import type { AgentView } from '../http/agents.ts';
import type { Terminal } from './terminal.ts';
import { showBytes } from './values.ts';

const BAR_CELLS = 12;

/** One line for each file that a host downloads: `mortgage@3 ██████░░░░░░ 48% of 210 MB`. */
export function downloadLines(terminal: Terminal, downloads: AgentView['downloads']): string[] {
  return downloads.map(({ version, manifest, doneBytes, totalBytes }) => {
    const share = totalBytes === 0 ? 1 : Math.min(doneBytes / totalBytes, 1);
    const cells = Math.floor(share * BAR_CELLS);
    const bar = '█'.repeat(cells) + '░'.repeat(BAR_CELLS - cells);
    const name = version ?? manifest.slice(0, 19);
    return `${name} ${terminal.paint('green', bar)} ${Math.floor(100 * share)}% of ${showBytes(totalBytes)}`;
  });
}
