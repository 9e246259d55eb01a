import type { Client } from './client.ts';
import type { Terminal } from './terminal.ts';

/** What every command that talks to a control plane is given. */
export interface Context {
  readonly client: Client;
  readonly terminal: Terminal;
}
