import { expect, it } from 'vitest';
import {
  MAX_RETRY_AFTER_MS,
  MIN_RETRY_AFTER_MS,
  retryAfterMs,
} from '../../../agent/store/retry-after.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

it.each([
  ['120', 120_000],
  [' 7 ', 7000],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
  ['0', MIN_RETRY_AFTER_MS],
  ['Wed, 31 Dec 2025 00:00:00 GMT', MIN_RETRY_AFTER_MS],
  ['600', MAX_RETRY_AFTER_MS],
  ['601', MAX_RETRY_AFTER_MS],
  ['999999999', MAX_RETRY_AFTER_MS],
  ['soon', null],
  ['', null],
  [undefined, null],
])('ARTIFACT-6: Retry-After %s asks for %s ms', (header, wanted) => {
  expect(retryAfterMs(header, NOW)).toBe(wanted);
});
