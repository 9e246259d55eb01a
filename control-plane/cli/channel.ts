import { readFile } from 'node:fs/promises';
import type { ChannelView } from '../http/channels.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { table } from './terminal.ts';

const pathOf = (name: string) => `/api/v1/channels/${encodeURIComponent(name)}`;

/** Adds what FILE (or `-`, standard input) describes: a file, so that secrets stay out of shell histories. */
export async function channelAdd(
  { client, terminal }: Context,
  name: string,
  file: string,
): Promise<void> {
  const text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8').catch(
    (cause: unknown) => {
      throw new CliError('usage', `${file} can't be read`, { cause });
    },
  );
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new CliError('usage', `${file} is not JSON; driftline channel add --help shows one`, {
      cause,
    });
  }
  const made = await client.put<ChannelView & { secret: string | null }>(pathOf(name), body);
  terminal.result(made);
  terminal.say(`${made.kind} channel ${name} is told of alerts from now on`);
  if (made.secret !== null) terminal.say(`signing key (shown this once): ${made.secret}`);
}

export async function channelList({ client, terminal }: Context): Promise<void> {
  const { items } = await client.get<{ items: ChannelView[] }>('/api/v1/channels');
  terminal.result(items);
  const rows = items.map(({ name, kind, shown }) => [name, kind, JSON.stringify(shown)]);
  terminal.say(rows.length === 0 ? 'no channels: alerts are told to nobody' : table(rows));
}

/** 1 when the receiver did not take it. */
export async function channelTest({ client, terminal }: Context, name: string): Promise<number> {
  const outcome = await client.post<{ delivered: boolean; failure: string | null }>(
    `${pathOf(name)}/test`,
  );
  terminal.result(outcome);
  terminal.say(outcome.delivered ? `${name} took the test message` : `failed: ${outcome.failure}`);
  return outcome.delivered ? 0 : 1;
}

export async function channelRemove({ client, terminal }: Context, name: string): Promise<void> {
  await client.delete(pathOf(name));
  terminal.result({ removed: name });
  terminal.say(`channel ${name} is removed`);
}
