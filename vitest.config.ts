import { defineConfig } from 'vitest/config';

/** Tests that start real processes from `dist/`: one file at a time, because they share ports, cores and patience. */
const PROCESS_TESTS = ['test/system/**/*.test.ts', 'test/interop/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: PROCESS_TESTS,
          sequence: { groupOrder: 0 },
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'system',
          include: PROCESS_TESTS,
          fileParallelism: false,
          // After the unit tests: what is measured here in milliseconds shall not compete with them.
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
