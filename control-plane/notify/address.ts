import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { DeliveryError } from './error.ts';

/** IANA special-purpose registries (RFC 6890 and its updates): none of them is a host on the internet. */
const SPECIAL = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/** The only IPv6 addresses given out; in it, tunnels, documentation and special blocks. */
const GLOBAL_6 = blockList(['2000::/3']);
const SPECIAL_6 = blockList(['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']);
const SPECIAL_4 = blockList(SPECIAL);

const LOOKUP_MS = 5000;

/** Networks to which deliveries may go although they are not public. Throws an `Error` that names a bad one. */
export function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/');
    const version = isIP(address);
    const most = version === 6 ? 128 : 32;
    if (version === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most) {
      throw new Error(`"${network}" is no network; it must be like 10.1.0.0/16 or fd00::/8`);
    }
    list.addSubnet(address, Number(bits), version === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

export function isPublic(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !SPECIAL_4.check(address);
  return version === 6 && GLOBAL_6.check(address, 'ipv6') && !SPECIAL_6.check(address, 'ipv6');
}

export function isAllowed(address: string, allowed: BlockList): boolean {
  return allowed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

export interface Pinned {
  readonly address: string;
  readonly family: 4 | 6;
  /** The operator has named its network; plain HTTP is then accepted. */
  readonly trusted: boolean;
}

export type Resolve = (host: string) => Promise<readonly string[]>;

const resolveHost: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * Looks a host up once; the connection then goes to the address that was judged, so that a second
 * answer of the name (DNS rebinding) changes nothing. One refused address refuses the name.
 */
export async function pin(
  host: string,
  allowed: BlockList,
  resolve: Resolve = resolveHost,
): Promise<Pinned> {
  const bare = host.replace(/^\[|\]$/g, '');
  const found = isIP(bare) === 0 ? await timely(resolve(bare), bare) : [bare];
  for (const address of found) {
    if (isPublic(address) || isAllowed(address, allowed)) continue;
    throw new DeliveryError(
      'refused',
      `${bare} is at ${address}, which is not public; start the control plane with --allow-network to permit it`,
    );
  }
  const [address] = found;
  if (address === undefined) throw new DeliveryError('unreachable', `${bare} has no address`);
  const trusted = found.every((one) => isAllowed(one, allowed));
  return { address, family: isIP(address) === 6 ? 6 : 4, trusted };
}

async function timely(found: Promise<readonly string[]>, host: string): Promise<readonly string[]> {
  const late = AbortSignal.timeout(LOOKUP_MS);
  const never = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error(`no answer in ${LOOKUP_MS} ms`)));
  });
  try {
    return await Promise.race([found, never]);
  } catch (cause) {
    throw new DeliveryError('unreachable', `${host} was not found`, { cause });
  }
}
