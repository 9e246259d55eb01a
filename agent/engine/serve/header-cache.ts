import type { Manifest } from '../../../protocol/manifest.ts';
import type { InferHeader } from './infer-header.ts';

/** Longer headers name many tensors or carry an id that will not come again; parsing is a small part of them. */
export const MAX_CACHED_HEADER_BYTES = 2048;

/** Headers kept per generation: a client that counts its requests in `id` must not fill the memory. */
export const MAX_CACHED_HEADERS = 256;

/**
 * Parsed JSON headers of binary requests by their bytes: a client that sends one shape over and over sends the same
 * bytes. Two generations in place of a linked list: the old one is dropped when the young one is full, so what was
 * used lately stays, a hit in the young one writes nothing, and there are never more than twice the bound.
 */
export class HeaderCache {
  #young = new Map<string, InferHeader>();
  #old = new Map<string, InferHeader>();

  get(key: string): InferHeader | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, header: InferHeader): void {
    if (this.#young.size >= MAX_CACHED_HEADERS) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, header);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

const caches = new WeakMap<Manifest, HeaderCache>();

/** A header is checked against one version's tensors, so it is remembered for that version, as long as it lives. */
export function headerCacheOf(manifest: Manifest): HeaderCache {
  const known = caches.get(manifest);
  if (known !== undefined) return known;
  const made = new HeaderCache();
  caches.set(manifest, made);
  return made;
}
