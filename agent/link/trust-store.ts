import { z } from 'zod';
import { fromBase64, toBase64, toHex } from '../../protocol/bytes.ts';
import {
  followRoots,
  hasKey,
  keysOf,
  type Root,
  rootFingerprint,
  verifyAnchor,
} from '../../protocol/trust/root.ts';
import { type Signed, signedSchema } from '../../protocol/trust/signed.ts';
import { AgentError } from '../error.ts';

/** A root and the bytes that were signed. */
export interface Anchor {
  readonly root: Root;
  readonly signed: Signed;
}

/** What a host knew of its control plane before it had a root. */
export type Pin =
  /** From its join token: the first digits of a root's SHA-256. */
  | { readonly kind: 'fingerprint'; readonly fingerprint: string }
  /** From a join by an older build: the control plane's only key. */
  | { readonly kind: 'key'; readonly key: Uint8Array };

const fileSchema = z.object({
  schema: z.literal(1),
  payload: z.base64(),
  signatures: z.array(z.object({ keyId: z.string(), signature: z.base64() })),
});

/** Where a root is kept as text: a file, or a database of a browser. */
export interface RootStore {
  /** As a person knows it. */
  readonly name: string;
  /** Null: nothing was ever kept here. */
  read(): Promise<string | null>;
  /** Resolves once it is there after a crash too. */
  write(text: string): Promise<void>;
}

/** The newest root that this host has followed the chain to. It never goes back to an older one. */
export class TrustStore {
  readonly #store: RootStore;
  #anchor: Anchor | null;

  private constructor(store: RootStore, anchor: Anchor | null) {
    this.#store = store;
    this.#anchor = anchor;
  }

  /** Throws `AgentError` 'identity' on what is no root. */
  static async load(store: RootStore): Promise<TrustStore> {
    const text = await store.read();
    if (text === null) return new TrustStore(store, null);
    try {
      const { payload, signatures } = fileSchema.parse(JSON.parse(text));
      const signed = signedSchema.parse({
        payload: fromBase64(payload),
        signatures: signatures.map(({ keyId, signature }) => ({
          keyId,
          signature: fromBase64(signature),
        })),
      });
      return new TrustStore(store, { root: await verifyAnchor(signed), signed });
    } catch (cause) {
      const told = `${store.name} is not a root; restore it, or remove the identity too and join again`;
      throw new AgentError('identity', told, { cause });
    }
  }

  get root(): Root | null {
    return this.#anchor?.root ?? null;
  }

  /** Keys that may sign desired state. */
  get onlineKeys(): readonly Uint8Array[] {
    return this.#anchor === null ? [] : keysOf(this.#anchor.root.roles.online).keys;
  }

  /**
   * The newest root that `offered` leads to, where `controlKey` is one of its online keys. It is to be kept once the
   * control plane has proved that key. Throws `AgentError` 'link' or `ProtocolError` 'trust'.
   */
  async follow(
    offered: readonly Signed[],
    controlKey: Uint8Array,
    pin: Pin | null,
  ): Promise<Anchor> {
    const from = this.#anchor ?? (await firstOf(offered, controlKey, pin));
    const newest = await followRoots(from, offered);
    if (!hasKey(newest.root.roles.online, controlKey)) {
      const told = `the control plane shows key ${toHex(controlKey).slice(0, 16)}…, which root ${newest.root.version} does not name as online`;
      throw new AgentError('link', told);
    }
    return newest;
  }

  async keep(anchor: Anchor): Promise<void> {
    const held = this.#anchor?.root.version ?? 0;
    if (anchor.root.version <= held) return;
    const { payload, signatures } = anchor.signed;
    const text = JSON.stringify({
      schema: 1,
      payload: toBase64(payload),
      signatures: signatures.map(({ keyId, signature }) => ({
        keyId,
        signature: toBase64(signature),
      })),
    });
    await this.#store.write(`${text}\n`);
    this.#anchor = anchor;
  }
}

async function firstOf(
  offered: readonly Signed[],
  controlKey: Uint8Array,
  pin: Pin | null,
): Promise<Anchor> {
  if (pin === null) {
    throw new AgentError('link', 'this host has not joined yet and has no join token');
  }
  if (pin.kind === 'key') {
    if (toHex(pin.key) !== toHex(controlKey)) {
      const told = `the control plane shows key ${toHex(controlKey).slice(0, 16)}…, not the one pinned at join`;
      throw new AgentError('link', told);
    }
    const first = offered[0];
    if (first === undefined) {
      const told =
        'the control plane shows no root, as one older than protocol 3: update it first, and its hosts after it';
      throw new AgentError('link', told);
    }
    return { root: await verifyAnchor(first), signed: first };
  }
  for (const signed of offered) {
    if (!(await rootFingerprint(signed)).startsWith(pin.fingerprint)) continue;
    return { root: await verifyAnchor(signed), signed };
  }
  throw new AgentError('link', 'the control plane shows no root that the join token names');
}
