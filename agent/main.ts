import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { AGENT_USAGE, readAgentConfig } from './config.ts';
import { AgentError, messageOf } from './error.ts';

/** Three programs in one file, because cluster starts engines from the supervisor's own entry. */
async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (cluster.isWorker) {
    const { runEngineWorker } = await import('./engine/worker.ts');
    const { maxBodyBytes } = readAgentConfig(argv, process.env);
    const ordinal = Number(process.env.DRIFTLINE_ENGINE ?? 0);
    await runEngineWorker({ ordinal, version: packageVersion(), maxBodyBytes });
  } else if (argv[0] === 'describe') {
    const { runDescribe } = await import('./describe/main.ts');
    process.exitCode = await runDescribe(argv.slice(1));
  } else if (argv.includes('--help')) {
    process.stdout.write(AGENT_USAGE);
  } else {
    await runSupervisor(argv);
  }
}

async function runSupervisor(argv: readonly string[]): Promise<void> {
  const config = readAgentConfig(argv, process.env);
  const log = pino({ level: config.logLevel, base: { name: 'agent' } });
  const { Supervisor } = await import('./supervisor.ts');
  const supervisor = await Supervisor.create(config, log);
  const url = await supervisor.start();
  log.info({ url, pid: process.pid }, 'serving');
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
  // Two folders up from source, three from dist/agent: the first package.json on the way is ours.
  for (const up of ['../package.json', '../../package.json']) {
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
