import { CliError } from './error.ts';

/** The only place where the CLI reads its environment. */
export interface ClientConfig {
  /** Without a slash at the end. */
  readonly url: string;
  readonly token: string | null;
  /** PEM file of the authority behind its certificate; null: those that Node trusts. */
  readonly caFile?: string | null;
}

export const DEFAULT_URL = 'http://127.0.0.1:7700';

/** Throws `CliError` 'usage' when DRIFTLINE_URL is no http or https URL. */
export function readClientConfig(env: NodeJS.ProcessEnv): ClientConfig {
  const url = env.DRIFTLINE_URL || DEFAULT_URL;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CliError('usage', `DRIFTLINE_URL is "${url}"; it must be an http or https URL`);
  }
  const token = env.DRIFTLINE_TOKEN || null;
  return { url: url.replace(/\/+$/, ''), token, caFile: env.DRIFTLINE_CA || null };
}

/** Colour only where a person looks, and not where one asked for none (https://no-color.org). */
export function wantsColour(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}
