/** What a benchmark asks of a server under test, over IPC. */
export type ServerCommand = { readonly kind: 'usage' } | { readonly kind: 'finish' };

export type ServerAnswer =
  | { readonly kind: 'listening'; readonly port: number }
  /** CPU time of the whole process since it started: user and system, every thread. */
  | { readonly kind: 'usage'; readonly cpuUs: number }
  /** `observedRows`: rows in the windows the server has cut; null for a server that counts none. */
  | { readonly kind: 'finished'; readonly observedRows: number | null };

export function usage(): ServerAnswer {
  const { user, system } = process.cpuUsage();
  return { kind: 'usage', cpuUs: user + system };
}
