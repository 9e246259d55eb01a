import { once } from 'node:events';
import { createServer } from 'node:net';
import { CliError } from './error.ts';

/** Throws `CliError` that names a port which is taken and the flag that chooses another. */
export async function requireFreePort(flag: string, host: string, port: number): Promise<void> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const why = code === 'EADDRINUSE' ? 'is in use' : `can't be opened (${code})`;
    throw new CliError(
      'failed',
      `port ${port} on ${host} ${why}\nstop what uses it, or choose another with ${flag} PORT`,
      { cause },
    );
  } finally {
    if (server.listening) {
      server.close();
      await once(server, 'close');
    }
  }
}
