import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { Terminal } from './terminal.ts';

interface Common {
  readonly json?: boolean;
}

const code = () => import('./keys.ts');
const collect = (value: string, before: string[]) => [...before, value];
const DATA = ['--data <dir>', "the control plane's folder", '.driftline/control'] as const;
const SIGN_WITH = '--sign-with <file>';

/** `driftline keys …`. What changes keys works on the control plane's folder: over HTTP nobody can. */
export function addKeyCommands(
  program: Command,
  command: (usage: string, description: string, parent: Command) => Command,
  run: {
    readonly client: (options: Common, work: (context: Context) => Promise<void>) => Promise<void>;
    readonly terminal: (options: Common) => Terminal;
  },
): void {
  const keys = program.command('keys').description('who may say what runs: root, release, online');
  command('show', 'the root in force, and versions that are not released', keys).action((options) =>
    run.client(options, async (context) => (await code()).keysShow(context)),
  );
  command('init <file>', 'a new key in a file, to keep off the control plane', keys).action(
    async (file: string, options) => (await code()).keysInit(run.terminal(options), file),
  );
  command('export', 'take root and release key out of the control plane', keys)
    .option(...DATA)
    .requiredOption('--to <dir>', 'where they go: a stick, another disk mounted here')
    .action(async (options) =>
      (await code()).keysExport(run.terminal(options), options.data, options.to),
    );
  command('rotate-root', 'the next root: other root or release keys, or a later expiry', keys)
    .option(...DATA)
    .option(SIGN_WITH, 'a root key of the present root; may be repeated', collect, [])
    .option('--root <file|key>', 'a root key of the next root; may be repeated', collect, [])
    .option('--root-threshold <n>', 'how many of them sign a root', '1')
    .option('--release <file|key>', 'a release key of the next root; may be repeated', collect, [])
    .option('--release-threshold <n>', 'how many of them release a version', '1')
    .option('--days <n>', 'how long it holds (default 3650)')
    .action(async (options) => (await code()).keysRotateRoot(run.terminal(options), options));
  command('rotate-online', 'a new key for the control plane; the old one ends', keys)
    .option(...DATA)
    .option(SIGN_WITH, 'a root key of the present root; may be repeated', collect, [])
    .action(async (options) =>
      (await code()).keysRotateOnline(run.terminal(options), options.data, options.signWith),
    );
  command('sign-release <model@version>', 'say that a version may run', keys)
    .requiredOption('--key <file>', 'a release key')
    .option('--deployment <name>', 'only as this one; may be repeated', collect, [])
    .option('--label <key=value>', 'only on hosts started with this --label', collect, [])
    .action((version: string, options) =>
      run.client(options, async (context) =>
        (await code()).keysSignRelease(context, version, options),
      ),
    );
}
