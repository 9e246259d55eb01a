import { createHmac, timingSafeEqual } from 'node:crypto';

/** Long enough for a weekend and the Monday after it. */
export const LINK_LIFE_MS = 7 * 86_400_000;

/**
 * An address that shows one alert to whoever holds it, until it expires: a browser sends no bearer
 * token. It reads that alert and nothing else.
 */
export function evidenceLink(key: Buffer, base: string, alert: number, now: number): string {
  const expires = now + LINK_LIFE_MS;
  return `${base}/alerts/${alert}?expires=${expires}&signature=${sign(key, alert, expires)}`;
}

export function isEvidenceLink(
  key: Buffer,
  alert: number,
  expires: number,
  signature: string,
  now: number,
): boolean {
  if (expires <= now) return false;
  const expected = Buffer.from(sign(key, alert, expires));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function sign(key: Buffer, alert: number, expires: number): string {
  return createHmac('sha256', key).update(`evidence.${alert}.${expires}`).digest('base64url');
}
