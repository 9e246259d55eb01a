import type { Command } from 'commander';
import type { Context } from './context.ts';

type MakeCommand = (usage: string, description: string, parent: Command) => Command;
type WithClient = (
  options: { readonly json?: boolean },
  run: (context: Context) => Promise<void>,
) => Promise<void>;

const code = () => import('./agents.ts');
const host = () => import('./host.ts');

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
    .option('--jurisdiction <name>', 'where the host is, as eu (default: as its token says)')
    .action((name: string, fingerprint: string, options) =>
      withClient(options, async (context) =>
        (await code()).agentApprove(context, name, fingerprint, options.jurisdiction),
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
  command('move <agent> [jurisdiction]', 'where it is; without one: nobody knows', agents)
    .addHelpText('after', '\nDeployments that may not be there are taken from it at once.')
    .action((name: string, jurisdiction: string | undefined, options) =>
      withClient(options, async (context) => (await host()).hostMove(context, name, jurisdiction)),
    );
  addHostCommands(agents, command, withClient);
  command('rotate-key <agent>', 'have it make a new key; the old one ends', agents).action(
    (name: string, options) =>
      withClient(options, async (context) => (await code()).agentRotateKey(context, name)),
  );
}

/** What a linked host is asked to do now. */
function addHostCommands(agents: Command, command: MakeCommand, withClient: WithClient): void {
  command('drain <agent>', 'it answers what is in flight and refuses the rest', agents)
    .addHelpText(
      'after',
      `
Refused requests are answered 503 with the code "draining", and the host is not ready, so that
load balancers pass it by. It holds until "undrain" or until the agent starts anew.`,
    )
    .action((name: string, options) =>
      withClient(options, async (context) => (await host()).hostDrain(context, name)),
    );
  command('undrain <agent>', 'it takes requests again', agents).action((name: string, options) =>
    withClient(options, async (context) => (await host()).hostUndrain(context, name)),
  );
  command('restart-engines <agent>', 'new engine processes, one after another', agents).action(
    (name: string, options) =>
      withClient(options, async (context) => (await host()).hostRestartEngines(context, name)),
  );
  command('diagnostics <agent>', 'how it is: engines, memory, outbox, egress, log', agents)
    .option('--out <file.json>', 'write all of it to a file')
    .action((name: string, options) =>
      withClient(options, async (context) =>
        (await host()).hostDiagnostics(context, name, options.out),
      ),
    );
  command('log-level <agent> <level>', 'debug, info, warn or error, for a while', agents)
    .option('--for <duration>', 'a second to a day', '10m')
    .action((name: string, level: string, options) =>
      withClient(options, async (context) =>
        (await host()).hostLogLevel(context, name, level, options.for),
      ),
    );
}

/** `driftline decisions …`. */
export function addDecisionCommands(
  program: Command,
  command: MakeCommand,
  withClient: WithClient,
): void {
  const decisions = program.command('decisions').description('single answers of a host');
  command('show <decision>', 'what its host remembers of it; the id is in the answer', decisions)
    .requiredOption('--deployment <name>', 'which deployment answered')
    .option('--row <n>', 'which row of the request', '0')
    .action((decision: string, options) =>
      withClient(options, async (context) =>
        (await host()).decisionShow(context, decision, options),
      ),
    );
}
