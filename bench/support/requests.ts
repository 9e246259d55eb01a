/** Whole HTTP/1.1 requests as bytes: they are made once, so that the load generator only writes. */

export interface FloatTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const HOST = 'host: 127.0.0.1\r\n';
export const HEADER_LENGTH = 'inference-header-content-length';

export function inferPath(model: string): string {
  return `/v2/models/${model}/infer`;
}

export function getRequest(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
}

function post(path: string, headers: string, body: Buffer): Buffer {
  const head = `POST ${path} HTTP/1.1\r\n${HOST}${headers}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** An OIP v2 inference request with its tensor in the JSON, as many digits as the numbers have. */
export function jsonRequest(
  model: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Iterable<number> },
  input = 'x',
): Buffer {
  const inputs = [{ name: input, datatype: 'FP32', shape, data: [...data] }];
  const body = Buffer.from(JSON.stringify({ inputs }));
  return post(inferPath(model), 'content-type: application/json\r\n', body);
}

/** The same in the binary tensor data extension, answer included. */
export function binaryRequest(model: string, { shape, data }: FloatTensor): Buffer {
  const parameters = { binary_data_size: data.byteLength };
  const header = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape, parameters }],
      parameters: { binary_data_output: true },
    }),
  );
  const headers = `content-type: application/octet-stream\r\n${HEADER_LENGTH}: ${header.length}\r\n`;
  return post(inferPath(model), headers, Buffer.concat([header, bytesOf(data)]));
}

/** The tensor's bytes and nothing else, for a server that knows what it gets. */
export function rawRequest(model: string, { data }: FloatTensor): Buffer {
  return post(inferPath(model), 'content-type: application/octet-stream\r\n', bytesOf(data));
}

function bytesOf(data: Float32Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** Several requests in one file: each with its length before it, 4 bytes little endian. */
export function joinRequests(requests: readonly Buffer[]): Buffer {
  return Buffer.concat(
    requests.flatMap((request) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(request.length);
      return [length, request];
    }),
  );
}

export function splitRequests(joined: Buffer): Buffer[] {
  const requests: Buffer[] = [];
  for (let at = 0; at < joined.length; ) {
    const end = at + 4 + joined.readUInt32LE(at);
    requests.push(joined.subarray(at + 4, end));
    at = end;
  }
  return requests;
}
