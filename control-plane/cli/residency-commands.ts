import type { Command } from 'commander';
import type { Context } from './context.ts';
import { withResidencyFlags } from './residency-flags.ts';

type MakeCommand = (usage: string, description: string) => Command;
type WithClient = (
  options: { readonly json?: boolean },
  run: (context: Context) => Promise<void>,
) => Promise<void>;

/** `driftline residency D`. */
export function addResidencyCommand(command: MakeCommand, withClient: WithClient): void {
  withResidencyFlags(
    command(
      'residency <deployment>',
      'where a deployment may be, and what is known of it; with flags, change it at once',
    ),
  )
    .addHelpText(
      'after',
      `
Without flags it shows what is in force, and which hosts are within. A host is where an
operator says ("driftline agents move A eu", or its join token), never where it says
itself; of whom nobody has said, it is elsewhere. Names are yours, and compared as a
whole: "eu" does not contain "eu-de". Where this control plane is, its own flag
--jurisdiction says.

A host that is not within is told to stop serving the deployment, and downloads no file
of it. What is not given stays as it is. The version stays too; as with any change of
a deployment, what guards of hosts took back may serve again.

  driftline residency loans --jurisdictions eu,uk
  driftline residency loans --outcomes within     # fairness and performance stay on hosts
                                                  # if this control plane is elsewhere
  driftline residency loans --decisions anywhere  # show single decisions here, wherever this is
  driftline residency loans --telemetry anywhere  # windows of a host that was moved away count
  driftline residency loans --jurisdictions any   # no restriction`,
    )
    .action((deployment: string, options) =>
      withClient(options, async (context) =>
        (await import('./residency.ts')).residency(context, deployment, options),
      ),
    );
}
