import { expect, it } from 'vitest';
import { downloadLines } from '../../../control-plane/cli/downloads.ts';
import { Terminal } from '../../../control-plane/cli/terminal.ts';

const sink = { write: () => undefined };
const terminal = new Terminal({ out: sink, err: sink, json: false, colour: false });
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

it.each([
  ['mortgage@3', 0, 210_000_000, 'mortgage@3              0% of 210 MB'],
  ['mortgage@3', 100_900_000, 210_000_000, 'mortgage@3 █████▊       48% of 210 MB'],
  ['mortgage@3', 5, 5, 'mortgage@3 ████████████ 100% of 5 B'],
  ['mortgage@3', 0, 0, 'mortgage@3 ████████████ 100% of 0 B'],
  [null, 1, 4, 'sha256:0123456789ab ███          25% of 4 B'],
])('%s with %i of %i bytes', (version, doneBytes, totalBytes, line) => {
  const download = { version, manifest: digest, digest, doneBytes, totalBytes };
  expect(downloadLines(terminal, [download])).toEqual([line]);
});
