import { Command, CommanderError } from 'commander';
import { addAgentCommands, addDecisionCommands } from './agent-commands.ts';
import { Client } from './client.ts';
import { readClientConfig, wantsColour } from './config.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { addGuardCommand } from './guard-commands.ts';
import { withGuardFlags } from './guard-flags.ts';
import { addKeyCommands } from './key-commands.ts';
import { addResidencyCommand } from './residency-commands.ts';
import { withResidencyFlags } from './residency-flags.ts';
import { withServingFlags } from './serving-flags.ts';
import { Terminal } from './terminal.ts';

/** Each command's code is loaded when it is called: `rollback` waits for nobody's imports. */
const program = new Command('driftline')
  .description('Serve ONNX models, watch them drift, take them back everywhere at once.')
  .exitOverride()
  .showHelpAfterError('(driftline --help lists all commands)');

interface Common {
  readonly json?: boolean;
}

function terminalFor(options: Common): Terminal {
  const json = options.json === true;
  const { stdout: out, stderr: err, env } = process;
  return new Terminal({ out, err, json, colour: !json && wantsColour(out, env) });
}

async function withClient(
  options: Common,
  run: (context: Context) => Promise<void>,
): Promise<void> {
  const client = new Client(readClientConfig(process.env));
  try {
    await run({ client, terminal: terminalFor(options) });
  } finally {
    client.close();
  }
}

function command(usage: string, description: string, parent = program): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--json', 'one line of JSON for programs');
}

const collect = (value: string, before: string[]) => [...before, value];

command('up', 'a control plane and one agent on this machine, with an example to try')
  .option('--data <dir>', 'where everything is kept', '.driftline')
  .option('--port <n>', 'port of the control plane', '7700')
  .option('--agent-port <n>', 'port of the agent', '8000')
  .option('--name <deployment>', 'what the example is deployed as', 'mortgage')
  .action(async (options) => {
    const { up } = await import('./up.ts');
    process.exitCode = await up(terminalFor(options), options, readClientConfig(process.env).token);
  });

for (const kind of ['control', 'agent', 'simulate'] as const) {
  const what = {
    control: 'a control plane',
    agent: 'an agent on this host',
    simulate: 'thousands of virtual agents, to try a control plane with',
  }[kind];
  program
    .command(`${kind} [options...]`)
    .description(`${what}; "driftline ${kind} --help" lists its own options`)
    .helpOption(false)
    .allowUnknownOption()
    .action(async (argv: string[]) => {
      const { runProgram } = await import('./run-program.ts');
      process.exitCode = await runProgram(kind, argv);
    });
}

command('join-token', 'a single-use token with which one new agent joins')
  .option('--label <key=value>', 'a label that the agent gets', collect, [])
  .option('--ttl <duration>', 'how long it can be used', '15m')
  .option('--jurisdiction <name>', 'where the host that joins with it is, as eu')
  .option('--require-approval', 'whoever joins waits for "driftline agents approve"')
  .action((options) =>
    withClient(options, async (context) =>
      (await import('./join-token.ts')).joinToken(context, options),
    ),
  );

addAgentCommands(program, command, withClient);
addDecisionCommands(program, command, withClient);
addKeyCommands(program, command, { client: withClient, terminal: terminalFor });

const model = program.command('model').description('push and list model versions');
command('push <file>', 'make an ONNX file, or a pipeline, a version of a model', model)
  .requiredOption('--name <model>', 'the model')
  .option('--baseline <file>', 'rows that drift is measured against: a CSV, or .npy for tensors')
  .option('--manifest <m.json>', 'what cannot be inferred: features, groups, prediction')
  .option('--pipeline', 'the file is a graph of deployments (JSON), not a model')
  .action((file: string, options) =>
    withClient(options, async (context) =>
      (await import('./model-push.ts')).modelPush(context, file, options),
    ),
  );
command('list', 'models and their versions', model).action((options) =>
  withClient(options, async (context) => (await import('./model-list.ts')).modelList(context)),
);

withResidencyFlags(
  withGuardFlags(
    withServingFlags(
      command('deploy <model@version>', 'serve a version; an existing deployment moves by canary'),
    ),
  ),
)
  .requiredOption('--as <deployment>', 'what clients call')
  .option('--to <key=value>', 'labels an agent must carry', collect, [])
  .option('--window <duration>', 'length of a monitoring window')
  .option('--strategy <canary|all-at-once>', 'how an existing deployment moves', 'canary')
  .option('--canary-agents <n>', 'agents that get the candidate first', '1')
  .option('--share <0..1>', 'share of their traffic that it gets (default 1; 0.5 if they are all)')
  .option('--observe <duration>', 'how long it must hold before it is promoted', '5m')
  .option('--no-wait', 'do not wait for the outcome')
  .option('--pin <versions>', 'versions to keep loaded for requests that name them, as 1,2')
  .option(
    '--monitoring <file.json>',
    'how it is watched: false-alarm budget, detectors, evaluators',
  )
  .action((version: string, options) =>
    withClient(options, async (context) =>
      (await import('./deploy.ts')).deploy(context, version, options),
    ),
  );

withServingFlags(
  command('serving <deployment>', 'how hosts execute a deployment; with flags, change it at once'),
)
  .option('--reset', 'forget what was set and tuned; flags given beside it are set')
  .option('--pin <versions>', 'keep these loaded too, as 1,2: for /v2/models/D/versions/V')
  .option('--unpin [versions]', 'let go of these, or of all')
  .addHelpText(
    'after',
    `
Without flags it shows what is in force, and whence: "set" by hand, "tuned" by
"driftline tune", or left to each host, which decides by what it measures at warm-up.
The version stays as it is; agents open the model anew beside the one that answers.

  driftline serving loans --max-batch-size 32 --max-queue-delay-us 500
  driftline serving loans --placement worker --workers 2 --intra-op-threads 1
  driftline serving loans --providers cuda,cpu     # cpu where cuda is not there
  driftline serving loans --pin 3                  # version 3 stays callable by its path
  driftline serving loans --reset                  # leave it all to the hosts`,
  )
  .action((deployment: string, options) =>
    withClient(options, async (context) =>
      (await import('./serving.ts')).serving(context, deployment, options),
    ),
  );

addGuardCommand(command, withClient);
addResidencyCommand(command, withClient);

command('tune <deployment>', 'measure on one agent how a deployment is best executed (20 s)')
  .option('--agent <name>', 'who measures (default: the first that serves it)')
  .option('--apply', 'replace what was set by hand, too')
  .option('--dry-run', 'measure and keep the table, change nothing')
  .addHelpText(
    'after',
    `
The agent measures in a process of its own, at a lower priority than the engines that
serve. It tries inline and worker placement, threads and batch sizes, and recommends the
smallest latency of one row; inline where a call takes less than 200 us; as few rows a
call as give within 10 % of the most rows per second.

The recommendation becomes the deployment's default for what nobody has set by hand.
--apply also replaces what was set. "driftline serving D" shows the result.`,
  )
  .action((deployment: string, options) =>
    withClient(options, async (context) =>
      (await import('./tune.ts')).tune(context, deployment, options),
    ),
  );

command('rollback <deployment>', 'go back to an older version on all agents at once')
  .option('--to <version>', 'default: the version before the present one')
  .requiredOption('--reason <text>', 'for the record')
  .action((deployment: string, options) =>
    withClient(options, async (context) => {
      const { rollback } = await import('./rollback.ts');
      process.exitCode = await rollback(context, deployment, options);
    }),
  );

const rollout = program.command('rollout').description('look at a rollout, or decide it');
command('show <rollout>', 'its state and what the gate measured', rollout).action(
  (id: string, options) =>
    withClient(options, async (context) => (await import('./rollout.ts')).showRollout(context, id)),
);
command('promote <rollout>', 'give the candidate to all agents', rollout).action(
  (id: string, options) =>
    withClient(options, async (context) => (await import('./rollout.ts')).promote(context, id)),
);
command('abort <rollout>', 'take the candidate back', rollout)
  .requiredOption('--reason <text>', 'for the record')
  .action((id: string, options) =>
    withClient(options, async (context) =>
      (await import('./rollout.ts')).abort(context, id, options.reason),
    ),
  );

command('status', 'deployments, agents and open alerts').action((options) =>
  withClient(options, async (context) => (await import('./status.ts')).status(context)),
);
command(
  'drift [deployment]',
  'how far data are from their reference: of a deployment, or of two files',
)
  .option('--last <duration>', 'how far to look back', '1h')
  .option('--feature <name>', 'only this one; may be repeated', collect, [])
  .option('--agent <name>', 'only windows of this host; may be repeated', collect, [])
  .option('--label <key=value>', 'only hosts that carry this; may be repeated', collect, [])
  .option('--hosts', 'tell changed traffic from changed hosts, against the span before')
  .option('--reference <file>', 'without a deployment: CSV, JSON lines or Parquet to compare with')
  .option('--current <file>', 'the file to compare, of any of these formats')
  .option('--columns <a,b>', 'of files: compare these only')
  .option('--ignore <a,b>', 'of files: leave these out')
  .option('--delimiter <character>', 'of a CSV (default: found in its header); "tab" is one')
  .option('--out <report.html>', 'of files: write a page with plots')
  .option('--fail-on <alert|watch>', 'of files: exit with 1 at this verdict')
  .addHelpText(
    'after',
    `
  driftline drift loans --last 24h --feature income
  driftline drift --reference train.parquet --current today.csv
  driftline drift --reference train.csv --current today.csv --json | jq .verdict
  driftline drift --reference train.csv --current today.csv --out drift.html --fail-on alert

Of files, a verdict controls the false discovery rate over all columns at 1 % and asks for
an effect: watch from a PSI of 0.05 or a shift of 0.1 sigma, alert from 0.1 or 0.2.
"insufficient": fewer than 200 rows, or a column that says nothing (the reason is given).
The exit code is 0 whether or not there is drift, unless --fail-on asks for more.`,
  )
  .action(async (deployment: string | undefined, options) => {
    const { reference, current } = options;
    if (reference === undefined && current === undefined && deployment !== undefined) {
      const { drift } = await import('./drift.ts');
      return withClient(options, (context) => drift(context, deployment, options));
    }
    if (reference === undefined || current === undefined || deployment !== undefined) {
      throw new CliError(
        'usage',
        'name a deployment, or two files with --reference and --current; "driftline drift --help" has examples',
      );
    }
    const { driftFiles } = await import('./drift-files.ts');
    process.exitCode = await driftFiles(terminalFor(options), options);
  });
command(
  'report <deployment>',
  'one HTML file: drift, data quality, performance, fairness, operations',
)
  .option('--from <time>', 'ISO 8601, UTC unless it says otherwise, or 2h for two hours ago')
  .option('--to <time>', 'the same, exclusive (default: now)')
  .option('--last <duration>', 'how far to look back from --to (default: 24h)')
  .option('--feature <name>', 'only this one; may be repeated', collect, [])
  .option('--agent <name>', 'only windows of this host; may be repeated', collect, [])
  .option('--label <key=value>', 'only hosts that carry this; may be repeated', collect, [])
  .option('--out <report.html>', 'where to write it (default: DEPLOYMENT-report.html)')
  .addHelpText(
    'after',
    `
The file needs nothing else: open it, print it, send it. With --json the data go to
standard output, and no file is written.

  driftline report loans                       # the last 24 hours
  driftline report loans --last 7d --out week.html
  driftline report loans --from 2026-03-01 --to 2026-04-01`,
  )
  .action((deployment: string, options) =>
    withClient(options, async (context) =>
      (await import('./report.ts')).report(context, deployment, options),
    ),
  );
command('alerts', 'open alerts')
  .option('--all', 'resolved ones too')
  .action((options) =>
    withClient(options, async (context) =>
      (await import('./alerts.ts')).alerts(context, options.all === true),
    ),
  );

const alert = program.command('alert').description('one alert: see it, take it, silence it');
command('show <alert>', 'its evidence and to whom it was told', alert).action(
  (id: string, options) =>
    withClient(options, async (context) => (await import('./alert.ts')).alertShow(context, id)),
);
command('ack <alert>', 'say that you look after it', alert).action((id: string, options) =>
  withClient(options, async (context) => (await import('./alert.ts')).alertAck(context, id)),
);
command('silence <alert>', 'send nothing of it for a time', alert)
  .option('--for <duration>', 'how long, as 4h')
  .option('--reason <text>', 'for the record')
  .option('--off', 'end the silence now')
  .action((id: string, options) =>
    withClient(options, async (context) =>
      (await import('./alert.ts')).alertSilence(context, id, options),
    ),
  );

const channel = program.command('channel').description('where alerts are told');
command('add <name> <file.json>', 'add one; "-" reads standard input', channel)
  .addHelpText(
    'after',
    `
  {"kind": "webhook", "url": "https://example.com/alerts"}
  {"kind": "slack", "url": "https://hooks.slack.com/services/..."}
  {"kind": "email", "host": "smtp.example.com", "port": 587, "user": "u", "password": "p",
   "from": "driftline@example.com", "to": ["oncall@example.com"]}`,
  )
  .action((name: string, file: string, options) =>
    withClient(options, async (context) =>
      (await import('./channel.ts')).channelAdd(context, name, file),
    ),
  );
command('list', 'all channels, without their secrets', channel).action((options) =>
  withClient(options, async (context) => (await import('./channel.ts')).channelList(context)),
);
command('test <name>', 'send one message now', channel).action((name: string, options) =>
  withClient(options, async (context) => {
    process.exitCode = await (await import('./channel.ts')).channelTest(context, name);
  }),
);
command('remove <name>', 'forget it and its secrets', channel).action((name: string, options) =>
  withClient(options, async (context) =>
    (await import('./channel.ts')).channelRemove(context, name),
  ),
);

const audit = program.command('audit').description('who did what');
command('list', 'the latest events', audit)
  .option('--limit <n>', 'how many', '30')
  .action((options) =>
    withClient(options, async (context) =>
      (await import('./audit.ts')).auditList(context, options.limit),
    ),
  );

command('demo', 'the whole story in under 90 seconds, on three agents of its own')
  .option('--data <dir>', 'folder for its data (default: a new one in .driftline)')
  .action(async (options) => {
    const { demo } = await import('./demo/demo.ts');
    process.exitCode = await demo(terminalFor(options), options.data ?? null);
  });

/** 0 done, 1 refused or failed, 2 wrong usage. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof CliError) {
    process.stderr.write(`driftline: ${error.message}\n`);
    return error.kind === 'usage' ? 2 : 1;
  }
  process.stderr.write(`driftline: ${error instanceof Error ? error.stack : error}\n`);
  return 1;
}

// `driftline status | head` closes our output early, which is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

program.parseAsync().catch((error: unknown) => {
  process.exitCode = exitCodeOf(error);
});
