import { Agent, request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { expect } from 'vitest';

/** A server under test: where it is and what it was told to allow. */
export interface Target {
  readonly url: string;
  readonly maxBodyBytes: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: number[];
  readonly data?: unknown[];
  readonly parameters?: { binary_data_size?: number };
  /** Its part of the bytes after the JSON. */
  readonly bytes?: Buffer;
}

export interface Inferred {
  readonly model_name: string;
  readonly model_version?: string;
  readonly id?: string;
  readonly outputs: Output[];
  /** The JSON as text: numbers as they were sent. */
  readonly text: string;
}

export const HEADER_LENGTH = 'inference-header-content-length';

const keepAlive = new Agent({ keepAlive: true, maxSockets: 4 });

/** One request over real HTTP. An array of parts is sent chunked, without a length. */
export function send(
  target: Target,
  method: string,
  path: string,
  body: string | Buffer | readonly Buffer[] = '',
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { method, headers, agent: keepAlive };
    const req = httpRequest(`${target.url}${path}`, options, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          body: Buffer.concat(chunks),
        }),
      );
      res.on('error', reject);
    });
    req.on('error', reject);
    if (typeof body === 'string' || Buffer.isBuffer(body)) {
      req.end(body);
      return;
    }
    for (const part of body) req.write(part);
    req.end();
  });
}

/** `json` is a value or JSON text; with tensors behind it the request is a binary one. */
export function infer(
  target: Target,
  model: string,
  json: unknown,
  tensors: readonly Buffer[] | null = null,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  const text = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json));
  const path = `/v2/models/${model}/infer`;
  if (tensors === null) {
    return send(target, 'POST', path, text, { 'content-type': 'application/json', ...headers });
  }
  return send(target, 'POST', path, Buffer.concat([text, ...tensors]), {
    'content-type': 'application/octet-stream',
    [HEADER_LENGTH]: String(text.length),
    ...headers,
  });
}

/** A successful answer, taken apart, with the framing of its binary part checked. */
export function inferred(answer: Answer): Inferred {
  expect(answer.status, answer.body.subarray(0, 500).toString()).toBe(200);
  const header = answer.headers[HEADER_LENGTH];
  const length = header === undefined ? answer.body.length : Number(header);
  const text = answer.body.subarray(0, length).toString();
  const parsed = JSON.parse(text) as Omit<Inferred, 'text'>;
  let at = length;
  const outputs = parsed.outputs.map((output) => {
    const size = output.parameters?.binary_data_size;
    if (size === undefined) return output;
    expect(output.data, 'a binary output has no "data"').toBeUndefined();
    const bytes = answer.body.subarray(at, at + size);
    at += size;
    return { ...output, bytes };
  });
  expect(at, 'every byte of the body belongs to an output').toBe(answer.body.length);
  const binary = outputs.some((output) => output.bytes !== undefined);
  expect(answer.headers['content-type']).toBe(
    binary ? 'application/octet-stream' : 'application/json',
  );
  return { ...parsed, outputs, text };
}

/** A refusal in the protocol's shape; returns its message. */
export function refused(answer: Answer, status: number): string {
  const text = answer.body.subarray(0, 500).toString();
  expect(answer.status, text).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  const { error } = JSON.parse(answer.body.toString()) as { error: unknown };
  expect(typeof error, text).toBe('string');
  return String(error);
}

export async function getJson<T>(target: Target, path: string): Promise<T> {
  const answer = await send(target, 'GET', path);
  expect(answer.status, answer.body.toString()).toBe(200);
  return JSON.parse(answer.body.toString()) as T;
}
