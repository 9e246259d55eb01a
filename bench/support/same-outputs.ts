import { request } from 'node:http';
import { HEADER_LENGTH } from './requests.ts';

interface Output {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data?: readonly number[];
  readonly parameters?: { readonly binary_data_size?: number };
}

/** Executors may add in another order. */
const TOLERANCE = 1e-5;

/**
 * A comparison of speed is one only between servers that say the same: throws where their outputs differ by more than
 * 1e-5 of the value. `requests` are whole HTTP requests as `requests.ts` makes them.
 */
export async function requireSameTensors(
  ports: readonly number[],
  requests: readonly Buffer[],
): Promise<void> {
  for (const one of requests) {
    const [first, ...others] = await Promise.all(ports.map((port) => outputsOf(port, one)));
    for (const [at, other] of others.entries()) {
      const same =
        first.length === other.length &&
        first.every(
          (value, place) => Math.abs(value - other[place]) <= TOLERANCE * (1 + Math.abs(value)),
        );
      if (!same) {
        throw new Error(
          `ports ${ports[0]} and ${ports[at + 1]} differ: ${first.slice(0, 8)} and ${other.slice(0, 8)}`,
        );
      }
    }
  }
}

/** Whether a server answers this request yet. */
export function resolvesWithTensors(port: number, request: Buffer): Promise<boolean> {
  return outputsOf(port, request).then(
    () => true,
    () => false,
  );
}

/** Every value of every output, in order. */
async function outputsOf(port: number, whole: Buffer): Promise<number[]> {
  const { headers, body } = await send(port, whole);
  const headerLength = Number(headers[HEADER_LENGTH] ?? body.length);
  const { outputs } = JSON.parse(body.toString('utf8', 0, headerLength)) as { outputs: Output[] };
  let at = headerLength;
  return outputs.flatMap((output) => {
    const sizeBytes = output.parameters?.binary_data_size;
    if (sizeBytes === undefined) return [...(output.data ?? [])];
    const bytes = Uint8Array.from(body.subarray(at, at + sizeBytes));
    at += sizeBytes;
    return [...new Float32Array(bytes.buffer)];
  });
}

function send(
  port: number,
  whole: Buffer,
): Promise<{ headers: NodeJS.Dict<string | string[]>; body: Buffer }> {
  const headEnd = whole.indexOf('\r\n\r\n');
  const [first, ...lines] = whole.toString('latin1', 0, headEnd).split('\r\n');
  const [method, path] = first.split(' ');
  const headers = Object.fromEntries(lines.map((line) => line.split(': ')));
  return new Promise((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        const body = Buffer.concat(chunks);
        if (res.statusCode === 200) resolve({ headers: res.headers, body });
        else reject(new Error(`port ${port} answered ${res.statusCode}: ${body}`));
      });
    });
    req.on('error', reject);
    req.end(whole.subarray(headEnd + 4));
  });
}
