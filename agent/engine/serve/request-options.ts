import { showValue } from '../model/tensor-data.ts';
import { OipError } from './oip-error.ts';

/** What a request says of its own treatment: Triton's schedule policy extension. */
export interface RequestOptions {
  /** How long the caller waits, from the first byte of the request, in microseconds; null: as the deployment says. */
  readonly timeoutUs: number | null;
  /** 1 is the most urgent. */
  readonly priority: number;
}

/** Between the urgent (1) and what can wait (3 and more): what Triton calls the default priority level. */
export const DEFAULT_PRIORITY = 2;
export const MAX_PRIORITY = 2 ** 31 - 1;

export const DEFAULT_OPTIONS: RequestOptions = { timeoutUs: null, priority: DEFAULT_PRIORITY };

/** `timeout` (microseconds, 0 for none) and `priority` (0 for the default) of a request. Throws 'bad_request'. */
export function requestOptions(timeout: unknown, priority: unknown): RequestOptions {
  if (timeout === undefined && priority === undefined) return DEFAULT_OPTIONS;
  const timeoutUs = whole(timeout, 'timeout', Number.MAX_SAFE_INTEGER, 'microseconds');
  const level = whole(priority, 'priority', MAX_PRIORITY, '1 for the most urgent, 0 for default');
  return {
    timeoutUs: timeoutUs === 0 ? null : timeoutUs,
    priority: level === 0 ? DEFAULT_PRIORITY : level,
  };
}

function whole(value: unknown, name: string, most: number, unit: string): number {
  if (value === undefined || value === null) return 0;
  // gRPC carries them as int64 or uint64, some clients as text.
  const number = typeof value === 'bigint' || typeof value === 'string' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > most) {
    throw new OipError(
      'bad_request',
      `parameter "${name}" is ${showValue(value)}; it must be an integer from 0 to ${most} (${unit})`,
    );
  }
  return number;
}
