import type { HelloMessage } from '../../protocol/hello.ts';

/** What a host says of itself that runs engines as processes of Node. */
export function nodeCapabilities(cores: number, engines: number): HelloMessage['capabilities'] {
  return {
    runtime: 'node',
    runtimeVersion: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores,
    engines,
    providers: ['cpu'],
  };
}
