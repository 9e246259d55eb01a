import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The processes this package is made of, beside this file's own build. */
export const CONTROL_PROGRAM = fileURLToPath(new URL('../main.js', import.meta.url));
export const AGENT_PROGRAM = fileURLToPath(new URL('../../agent/program/main.js', import.meta.url));

/** The bundled example: models, their baseline and rows to send. Not built, so not in `dist`. */
export const EXAMPLE = join(packageRoot(), 'control-plane/examples/mortgage');
export const EXAMPLE_NAME = 'mortgage';

/** As it is in the package, from source and from the build alike. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error('no package.json above the CLI');
    folder = above;
  }
  return folder;
}
