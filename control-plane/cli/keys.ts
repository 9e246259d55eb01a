import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, copyFile, mkdir, open, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fromBase64, toHex } from '../../protocol/bytes.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { SigningKey } from '../../protocol/signing.ts';
import { encodeRelease, type Release, readRelease } from '../../protocol/trust/release.ts';
import { publicKeySchema, type Role, type Root } from '../../protocol/trust/root.ts';
import { addSignatures } from '../../protocol/trust/signed.ts';
import type { VersionView } from '../http/models.ts';
import { type StatementJson, statementJson, type TrustView } from '../http/trust.ts';
import { Store } from '../store/database.ts';
import { findKey, findKeyFile, keyPath, makeKey, makeKeyFile } from '../store/signing-key.ts';
import { allRoots } from '../store/statements.ts';
import { keepRoot, makeNextRoot, type RootChange, roleOf } from '../trust/ceremony.ts';
import { newestRoot } from '../trust/trust.ts';
import type { Context } from './context.ts';
import { CliError } from './error.ts';
import { type Terminal, table } from './terminal.ts';
import { parseInteger, parseLabels, parseVersion, showTime } from './values.ts';

/** `driftline keys show`: who may say what, as the control plane tells its agents. */
export async function keysShow({ client, terminal }: Context): Promise<void> {
  const trust = await client.get<TrustView>('/api/v1/trust');
  terminal.result(trust);
  sayRoot(terminal, trust.root);
  terminal.say(`\nfingerprint of the root, which join tokens pin: ${trust.fingerprint}`);
  terminal.say(
    trust.managed
      ? 'versions are released as they are pushed: the release key is on the control plane'
      : 'the release key is not on the control plane: who has it signs each version',
  );
  for (const { model, version } of trust.unreleased) {
    terminal.say(`${terminal.paint('yellow', 'not released')} ${model}@${version}`);
  }
}

/** `driftline keys init FILE`: a key of one's own, to be kept off the control plane. */
export async function keysInit(terminal: Terminal, file: string): Promise<void> {
  const key = await makeKeyFile(file).catch((cause: Error) => {
    throw new CliError('failed', `no key was made in ${file}: ${cause.message}`, { cause });
  });
  const publicKey = toHex(key.publicKey);
  terminal.result({ file, keyId: key.keyId, publicKey });
  terminal.say(`${file} holds the private key ${terminal.paint('bold', key.keyId)}: keep it`);
  terminal.say(`its public key: ${publicKey}`);
}

/** `driftline keys export`: takes root and release key out of the control plane's folder. */
export async function keysExport(terminal: Terminal, data: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  const moved: string[] = [];
  for (const name of ['root', 'release'] as const) {
    const from = keyPath(data, name);
    const place = join(to, basename(from));
    if (!(await exists(from))) continue;
    // Copied and not renamed: a stick is another file system.
    await copyFile(from, place, constants.COPYFILE_EXCL).catch((cause: Error) => {
      throw new CliError('failed', `${from} stays where it is: ${cause.message}`, { cause });
    });
    await durable(place);
    await unlink(from);
    moved.push(place);
  }
  terminal.result({ moved });
  if (moved.length === 0) terminal.say(`${resolve(data)} holds no root or release key any more`);
  for (const place of moved) terminal.say(`moved to ${place}`);
  terminal.say('restart the control plane; versions that are pushed then wait for sign-release.');
  terminal.say('they were on that machine: rotate-root with new ones, if it may have been read.');
}

export interface RotateOptions {
  readonly data: string;
  readonly signWith: readonly string[];
  readonly root: readonly string[];
  readonly rootThreshold: string;
  readonly release: readonly string[];
  readonly releaseThreshold: string;
  readonly days?: string;
}

/** `driftline keys rotate-root`: the next root, with other root or release keys or a later expiry. */
export async function keysRotateRoot(terminal: Terminal, options: RotateOptions): Promise<void> {
  const { data } = options;
  const signers = await signersOf(data, [...options.signWith, ...options.root]);
  const change: RootChange = {
    root: await roleFrom('--root-threshold', options.root, options.rootThreshold),
    release: await roleFrom('--release-threshold', options.release, options.releaseThreshold),
    expiresAt:
      options.days === undefined
        ? undefined
        : Date.now() + parseInteger('--days', options.days, 1, 36_500) * 86_400_000,
  };
  await publish(terminal, data, change, signers);
}

/** `driftline keys rotate-online`: a new key for the control plane; the old one ends with it. */
export async function keysRotateOnline(
  terminal: Terminal,
  data: string,
  signWith: readonly string[],
): Promise<void> {
  const signers = await signersOf(data, signWith);
  const next = (await findKey(data, 'next-signing')) ?? (await makeKey(data, 'next-signing'));
  await publish(terminal, data, { online: roleOf([next]) }, signers);
}

async function publish(
  terminal: Terminal,
  data: string,
  change: RootChange,
  signers: readonly SigningKey[],
): Promise<void> {
  if (!(await exists(join(data, 'driftline.db')))) {
    throw new CliError('usage', `${resolve(data)} is not the folder of a control plane: --data`);
  }
  const store = await Store.open(data);
  try {
    const chain = await allRoots(store.read);
    if (chain.length === 0) {
      throw new CliError(
        'failed',
        `${resolve(data)} has no root yet: start the control plane once`,
      );
    }
    const current = await newestRoot(chain);
    const now = Date.now();
    const made = await makeNextRoot(current, change, signers, now).catch((cause: Error) => {
      throw new CliError('failed', `${cause.message}; give their files with --sign-with`, {
        cause,
      });
    });
    await keepRoot(store, made.root, made.signed, now);
    terminal.result(made.root);
    sayRoot(terminal, made.root);
    terminal.say('\nrestart the control plane; agents follow when they link again.');
  } finally {
    await store.close();
  }
}

/** The root key in the folder, where it is, and those in files; public keys among them sign nothing. */
async function signersOf(data: string, files: readonly string[]): Promise<SigningKey[]> {
  const keys = [await findKey(data, 'root')];
  for (const file of files) if (!isPublic(file)) keys.push(await readKey(file));
  return keys.filter((key) => key !== null);
}

async function roleFrom(
  flag: string,
  given: readonly string[],
  threshold: string,
): Promise<Role | undefined> {
  if (given.length === 0) return undefined;
  const keys: string[] = [];
  for (const each of given) {
    keys.push(isPublic(each) ? each : toHex((await readKey(each)).publicKey));
  }
  return { keys, threshold: parseInteger(flag, threshold, 1, keys.length) };
}

function isPublic(text: string): boolean {
  return publicKeySchema.safeParse(text).success;
}

async function readKey(file: string): Promise<SigningKey> {
  const key = await findKeyFile(file).catch((cause: Error) => {
    throw new CliError('usage', `${file} is no key file: ${cause.message}`, { cause });
  });
  if (key === null) throw new CliError('usage', `there is no key file ${file}`);
  return key;
}

export interface SignReleaseOptions {
  readonly key: string;
  readonly deployment: readonly string[];
  readonly label: readonly string[];
}

/** `driftline keys sign-release`: says with a release key that a version may run. */
export async function keysSignRelease(
  { client, terminal }: Context,
  text: string,
  options: SignReleaseOptions,
): Promise<void> {
  const { model, version } = parseVersion(text);
  const key = await readKey(options.key);
  const path = `/api/v1/models/${encodeURIComponent(model)}/versions/${version}`;
  const { manifest } = await client.get<VersionView>(path);
  // What is signed is the digest: that these are the files behind it, this machine finds out for itself.
  const { body } = await client.send('GET', `/api/v1/artifacts/${manifest}`, {});
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  if (digest !== manifest) {
    throw new CliError(
      'failed',
      `${text} claims ${manifest}, and its manifest is ${digest}: not signed`,
    );
  }
  const { files } = JSON.parse(body) as Manifest;
  const release: Release = {
    ...{ schema: 1, model, version, manifest, issuedAt: Date.now() },
    ...(options.deployment.length === 0 ? {} : { deployments: [...options.deployment] }),
    ...(options.label.length === 0 ? {} : { labels: parseLabels('--label', options.label) }),
  };
  const unsigned = {
    payload: (await sameStatement(client, path, release)) ?? encodeRelease(release),
    signatures: [],
  };
  const signed = await addSignatures('release', unsigned, [key]);
  const answer = await client.put<{ complete: boolean }>(`${path}/release`, statementJson(signed));
  terminal.result({ ...release, keyId: key.keyId, ...answer });
  terminal.say(`${terminal.paint('bold', text)} is signed by key ${key.keyId}: ${manifest}`);
  terminal.say(
    table(files.map(({ role, digest, sizeBytes }) => [role, digest, `${sizeBytes} bytes`])),
  );
  terminal.say(
    answer.complete
      ? 'it is released'
      : terminal.paint(
          'yellow',
          "that is not enough: this key is none of the root's release keys, or more must sign",
        ),
  );
  if (!answer.complete) process.exitCode = 1;
}

/** What others have signed, where it says the same: signatures add up over one statement only. */
async function sameStatement(
  client: Context['client'],
  path: string,
  release: Release,
): Promise<Uint8Array | null> {
  const there = await client.find<StatementJson>(`${path}/release`);
  if (there === null) return null;
  const payload = fromBase64(there.payload);
  const { issuedAt } = readRelease({ payload, signatures: [] });
  const mine = encodeRelease({ ...release, issuedAt });
  return Buffer.from(mine).equals(payload) ? payload : null;
}

function sayRoot(terminal: Terminal, root: Root): void {
  terminal.say(
    `root ${terminal.paint('bold', String(root.version))}, until ${showTime(root.expiresAt)}`,
  );
  const rows = (['root', 'release', 'online'] as const).map((name) => {
    const { keys, threshold } = root.roles[name];
    return [name, `${threshold} of ${keys.length}`, keys.join(' ')];
  });
  terminal.say(table(rows));
}

async function durable(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.chmod(0o600);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
