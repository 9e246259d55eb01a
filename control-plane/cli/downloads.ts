import type { AgentView } from '../http/agents.ts';
import { bar, type Terminal } from './terminal.ts';
import { showBytes } from './values.ts';

const BAR_CELLS = 12;

/** One line for each file that a host downloads: `mortgage@3 █████▊       48% of 210 MB`. */
export function downloadLines(terminal: Terminal, downloads: AgentView['downloads']): string[] {
  return downloads.map(({ version, manifest, doneBytes, totalBytes }) => {
    const share = totalBytes === 0 ? 1 : Math.min(doneBytes / totalBytes, 1);
    // A version that was deleted here, or is another control plane's, has no name.
    const name = version ?? manifest.slice(0, 'sha256:'.length + 12);
    const drawn = terminal.paint('green', bar(share, BAR_CELLS));
    return `${name} ${drawn} ${Math.floor(100 * share)}% of ${showBytes(totalBytes)}`;
  });
}
