// First, before anything that allocates is loaded.
import './heap.ts';

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { AGENT_USAGE, readAgentConfig } from './config.ts';
import { AgentError, messageOf } from './error.ts';
import { letHeapGrow } from './heap.ts';
import { LogTail } from './log-tail.ts';

/** Five programs in one file, because engines are started from the supervisor's own entry. */
async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const { DRIFTLINE_ENGINE: ordinal, DRIFTLINE_ENGINE_JOURNAL: journalPath } = process.env;
  if (process.send !== undefined && ordinal !== undefined && journalPath !== undefined) {
    const { runEngineWorker } = await import('./engine/worker.ts');
    const config = readAgentConfig(argv, process.env);
    const { maxBodyBytes, cores, featureServers, traces, devicePrice } = config;
    const engines = Number(process.env.DRIFTLINE_ENGINES ?? 1);
    const version = packageVersion();
    const share = { engines, cores };
    await runEngineWorker({
      ...{ version, maxBodyBytes, share, journalPath, featureServers, traces },
      devicePrice,
      onServing: letHeapGrow,
      ordinal: Number(ordinal),
    });
  } else if (argv[0] === 'describe') {
    letHeapGrow();
    const { runDescribe } = await import('./describe/main.ts');
    process.exitCode = await runDescribe(argv.slice(1));
  } else if (argv[0] === 'tune') {
    letHeapGrow();
    const { runTune } = await import('./tune/main.ts');
    // A thread that hangs in the model must not keep the process.
    process.exit(await runTune(argv.slice(1)));
  } else if (argv[0] === 'simulate') {
    letHeapGrow();
    const { runSimulation } = await import('./simulate/main.ts');
    process.exit(await runSimulation(argv.slice(1), process.env));
  } else if (argv.includes('--help')) {
    process.stdout.write(AGENT_USAGE);
  } else {
    await runSupervisor(argv);
  }
}

async function runSupervisor(argv: readonly string[]): Promise<void> {
  const config = readAgentConfig(argv, process.env);
  const tail = new LogTail();
  // What is logged is decided by the logger's level, which may change; whatever passes goes to both.
  const streams = [pino.destination(1), tail].map((stream) => ({
    level: 'trace' as const,
    stream,
  }));
  const log = pino({ level: config.logLevel, base: { name: 'agent' } }, pino.multistream(streams));
  const { Supervisor } = await import('./supervisor.ts');
  const { execArgv, env } = process;
  const program = { path: fileURLToPath(import.meta.url), argv, execArgv, env };
  const supervisor = await Supervisor.create(config, program, log, {
    version: packageVersion(),
    tail,
  });
  const urls = await supervisor.start();
  log.info({ ...urls, pid: process.pid }, 'serving');
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    void supervisor.stop().then(() => {
      log.info(supervisor.telemetry, 'stopped');
      process.exit(0);
    });
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

function packageVersion(): string {
  // One folder up from source, two from dist/agent, three from dist/agent/program: the first on the way is ours.
  for (const up of ['../package.json', '../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8');
      return String(JSON.parse(text).version);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}

main().catch((error: unknown) => {
  const usage = error instanceof AgentError && error.kind === 'configuration';
  process.stderr.write(`driftline agent: ${messageOf(error)}\n`);
  process.exit(usage ? 2 : 1);
});
