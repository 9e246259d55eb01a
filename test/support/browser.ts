import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** Tests that need it are skipped without. */
export const hasChromium = existsSync(CHROMIUM);

/** Debian's chromium, which asks nobody on the network for anything. */
export function launchChromium(more: readonly string[] = []): Promise<Browser> {
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'];
  const offline = ['--disable-background-networking', '--disable-component-update'];
  const args = ['--no-sandbox', ...quiet, ...offline, ...more];
  return chromium.launch({ executablePath: CHROMIUM, args });
}
