import { OipError } from './oip-error.ts';

/** Names the length of the JSON part of a body with binary tensors, in bytes of the unpacked body. */
export const HEADER_LENGTH = 'inference-header-content-length';

/**
 * The value of `Inference-Header-Content-Length`; null when absent, which says that the whole body is JSON.
 * A header given twice arrives joined by a comma and is no number. Throws 'bad_request'.
 */
export function headerLengthOf(value: string | string[] | undefined): number | null {
  if (value === undefined) return null;
  const text = String(value).trim();
  if (!/^\d{1,15}$/.test(text)) {
    throw new OipError(
      'bad_request',
      `Inference-Header-Content-Length must be one number of bytes, got "${text.slice(0, 60)}"`,
    );
  }
  return Number(text);
}

/** The JSON part of a body and what follows it. Throws 'bad_request' when the body is shorter than the header says. */
export function splitBody(body: Buffer, headerLength: number): { json: Buffer; rest: Buffer } {
  if (headerLength > body.length) {
    throw new OipError(
      'bad_request',
      `Inference-Header-Content-Length is ${headerLength}, but the body has ${body.length} bytes`,
    );
  }
  return { json: body.subarray(0, headerLength), rest: body.subarray(headerLength) };
}
