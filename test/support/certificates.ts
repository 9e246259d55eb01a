import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** An authority and certificates for 127.0.0.1 and localhost that it signs, made by openssl in a folder. */
export class Authority {
  readonly ca: string;
  readonly #folder: string;
  readonly #key: string;
  #made = 0;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.ca = join(folder, `${name}.pem`);
    this.#key = join(folder, `${name}.key`);
  }

  static async create(folder: string, name: string): Promise<Authority> {
    const made = new Authority(folder, name);
    const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
    const files = ['-keyout', made.#key, '-out', made.ca];
    await run('openssl', ['req', '-x509', '-newkey', 'ed25519', ...subject, ...files]);
    return made;
  }

  async certificate(): Promise<CertificateFiles> {
    this.#made += 1;
    const path = (end: string) => join(this.#folder, `server-${this.#made}.${end}`);
    await run('openssl', [
      ...['req', '-new', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=driftline'],
      ...['-keyout', path('key'), '-out', path('csr')],
    ]);
    await writeFile(path('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    await run('openssl', [
      ...['x509', '-req', '-in', path('csr'), '-CA', this.ca, '-CAkey', this.#key],
      ...['-CAcreateserial', '-days', '2', '-extfile', path('ext'), '-out', path('pem')],
    ]);
    return { cert: path('pem'), key: path('key') };
  }
}
