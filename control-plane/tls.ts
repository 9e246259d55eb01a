import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { TlsFiles } from './config.ts';

/** Certificate and key as they are on disk now. Throws when they can't be read or do not belong together. */
export function readTls(files: TlsFiles): { cert: Buffer; key: Buffer } {
  try {
    const pair = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
    // Found here, and not by the first client: OpenSSL compares the two when a context is made of them.
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `TLS needs a PEM certificate and its key; ${files.cert} and ${files.key} are not: ${why}`,
      { cause },
    );
  }
}
