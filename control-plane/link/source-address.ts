import { isIPv4, isIPv6 } from 'node:net';

/** Groups of an IPv6 address that one customer has for itself: /64. */
const GROUPS = 4;

/**
 * What links are counted by: an IPv4 address, or the first 64 bits of an IPv6 address. Null: they are not counted, as from
 * this machine, where a proxy may be.
 */
export function sourceOf(remote: string | undefined): string | null {
  if (remote === undefined) return null;
  const plain = remote.replace(/^::ffff:(?=\d+\.)/i, '');
  if (isIPv4(plain)) return plain.startsWith('127.') ? null : plain;
  const [address] = plain.split('%', 1);
  if (!isIPv6(address) || address === '::1') return null;
  const [before, after] = address.split('::', 2);
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  return `${groups.slice(0, GROUPS).join(':')}::/64`;
}
