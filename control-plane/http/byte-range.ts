import { ControlError } from '../error.ts';

/** Bytes of a file, both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * What a `Range` header asks of a file (RFC 9110, 14.2): null for the whole, which is also the answer
 * to units and lists of ranges that we do not serve. Throws 'range' when nothing of it is in the file.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | null {
  const [, from, to] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return null;
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (first > last) {
    // A last byte before the first is no range at all; the standard wants it ignored.
    if (from !== '' && to !== '' && Number(to) < Number(from)) return null;
    throw new ControlError('range', `"${header}" is not within the file's ${size} bytes`);
  }
  return { first, last };
}

/** Where an upload's body belongs: `Content-Range: bytes first-last/total`. Throws 'range'. */
export function parseContentRange(header: string): ByteRange & { readonly total: number } {
  const [, from, to, of] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header) ?? [];
  const [first, last, total] = [Number(from), Number(to), Number(of)];
  if (!(first <= last && last < total)) {
    throw new ControlError('range', `"${header}" is not "bytes FIRST-LAST/TOTAL"`);
  }
  return { first, last, total };
}
