import type { Command } from 'commander';
import type { Context } from './context.ts';

type MakeCommand = (usage: string, description: string, parent: Command) => Command;
type WithClient = (
  options: { readonly json?: boolean },
  run: (context: Context) => Promise<void>,
) => Promise<void>;

const code = () => import('./agents.ts');

/** `driftline agents …`. */
export function addAgentCommands(
  program: Command,
  command: MakeCommand,
  withClient: WithClient,
): void {
  const agents = program.command('agents').description('who is in the fleet, and who may be');
  command('list', 'all agents and their fingerprints', agents).action((options) =>
    withClient(options, async (context) => (await code()).agentsList(context)),
  );
  command('show <agent>', 'one agent, by name or id', agents).action((name: string, options) =>
    withClient(options, async (context) => (await code()).agentShow(context, name)),
  );
  command('approve <agent> <fingerprint>', 'let in one that waits; its host prints it', agents)
    .addHelpText(
      'after',
      '\nAt least the first 16 digits of the fingerprint, as the host shows it.',
    )
    .action((name: string, fingerprint: string, options) =>
      withClient(options, async (context) =>
        (await code()).agentApprove(context, name, fingerprint),
      ),
    );
  command('revoke <agent>', 'cut its link and refuse its key for good', agents)
    .requiredOption('--reason <text>', 'for the record')
    .action((name: string, options) =>
      withClient(options, async (context) =>
        (await code()).agentRevoke(context, name, options.reason),
      ),
    );
  command('label <agent> [key=value...]', 'its labels, as a whole', agents).action(
    (name: string, labels: string[], options) =>
      withClient(options, async (context) => (await code()).agentLabel(context, name, labels)),
  );
  command('rotate-key <agent>', 'have it make a new key; the old one ends', agents).action(
    (name: string, options) =>
      withClient(options, async (context) => (await code()).agentRotateKey(context, name)),
  );
}
