/** Resolves with the first signal that asks this process to end. A second one changes nothing. */
export function askedToStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // With a terminal that closes comes SIGHUP.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, resolve);
  });
}
