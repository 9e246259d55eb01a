import type { Command } from 'commander';
import type { Context } from './context.ts';
import { withGuardFlags } from './guard-flags.ts';

type MakeCommand = (usage: string, description: string) => Command;
type WithClient = (
  options: { readonly json?: boolean },
  run: (context: Context) => Promise<void>,
) => Promise<void>;

/** `driftline guard D`. */
export function addGuardCommand(command: MakeCommand, withClient: WithClient): void {
  withGuardFlags(
    command(
      'guard <deployment>',
      'when hosts take a version back by themselves, and for how long they may serve',
    ),
  )
    .option('--off', 'forget every threshold; flags given beside it are set')
    .option('--lease-off', 'hosts may serve it for ever again')
    .addHelpText(
      'after',
      `
Without flags it shows what is in force, and what hosts took back. A host looks at its own
answers, online or not. It goes back to the version before, which it keeps loaded, in the
turn of the answer that passes a threshold, and tells the evidence when it can. What a host
took back stays out there until you change the deployment: roll back, deploy another
version, or set the guard anew.

  driftline guard loans --max-non-finite 0 --max-error-share 0.05
  driftline guard loans --latency-budget-us 20000 --max-slow-share 0.2
  driftline guard loans --max-psi 0.5 --min-rows 1000 --without-last-good refuse
  driftline guard loans --lease 10m --after-lease stop   # a host cut off stops by then
  driftline guard loans --off --lease-off`,
    )
    .action((deployment: string, options) =>
      withClient(options, async (context) =>
        (await import('./guard.ts')).guard(context, deployment, options),
      ),
    );
}
