import type { TestContext } from 'vitest';

/**
 * Skips a test with a reason that anybody can read, where a foreign program is not to be had. With
 * DRIFTLINE_REQUIRE_INTEROP=1 that is a failure.
 */
export function skipWithout(context: TestContext, reason: string): never {
  if (process.env.DRIFTLINE_REQUIRE_INTEROP === '1') {
    throw new Error(`${reason}, and DRIFTLINE_REQUIRE_INTEROP=1 asks for it`);
  }
  return context.skip(`skipped: ${reason}`);
}
