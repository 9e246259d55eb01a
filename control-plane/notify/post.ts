import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { BlockList } from 'node:net';
import { pin, type Resolve } from './address.ts';
import { DeliveryError } from './error.ts';

export const ATTEMPT_MS = 10_000;

/** Posts once, to the address that was judged, without following redirects; the answer's body is not read. */
export async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  allowed: BlockList,
  resolve?: Resolve,
): Promise<void> {
  const { address, family, trusted } = await pin(url.hostname, allowed, resolve);
  if (url.protocol !== 'https:' && !trusted) {
    throw new DeliveryError('refused', `${url.host} is public and not https: use https`);
  }
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  await new Promise<void>((done, reject) => {
    const outgoing = send(url, {
      method: 'POST',
      agent: false,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'driftline',
      },
      // Host header and certificate keep the name; only the address is given.
      lookup: (_host, options, found) => {
        if (options.all === true) found(null, [{ address, family }]);
        else found(null, address, family);
      },
    });
    const finish = (error: DeliveryError | null) => {
      clearTimeout(timer);
      outgoing.destroy();
      if (error === null) done();
      else reject(error);
    };
    const timer = setTimeout(() => {
      finish(new DeliveryError('timeout', `${url.host} did not answer in ${ATTEMPT_MS} ms`));
    }, ATTEMPT_MS);
    outgoing.on('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code ?? 'the connection broke';
      finish(new DeliveryError('unreachable', `${url.host}: ${code}`, { cause }));
    });
    outgoing.on('response', (answer) => finish(judge(url.host, answer)));
    outgoing.end(body);
  });
}

function judge(host: string, answer: IncomingMessage): DeliveryError | null {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return null;
  if (status === 410) return new DeliveryError('gone', `${host} answered 410: it wants no more`);
  if (status >= 300 && status < 400) {
    return new DeliveryError('refused', `${host} answered ${status}; redirects are not followed`);
  }
  const seconds = Number(answer.headers['retry-after']);
  const retryAfterMs = seconds > 0 ? seconds * 1000 : 0;
  return new DeliveryError('answered', `${host} answered ${status}`, { retryAfterMs });
}
