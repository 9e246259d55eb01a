import { type Fleet, nullAlarms, windowsToFind } from '../../test/support/simulated-fleet.ts';
import { check } from './shared-data.ts';

/**
 * H.1 and H.2, the whole table: 50 features, 288 windows a day, 30 days without drift, for each size of window and of
 * reference; and how soon a shift of one feature is found. Beside it what an always-firing and a never-firing dummy
 * would have scored. On generated data: nothing has to be there.
 */
const DAY = 288;
const DAYS = process.argv.includes('--quick') ? 3 : 30;
const LEARNING = 20;
const SEEDS = 20;
const BASE: Fleet = {
  features: 50,
  windowRows: 500,
  referenceRows: 10_000,
  windowMs: 300_000,
  seed: 1,
};

const sizes = [
  ...[200, 500, 5_000].flatMap((windowRows) =>
    [2_000, 10_000].map((referenceRows) => ({ windowRows, referenceRows })),
  ),
  // The trap of a shared reference: windows twice as large as what they are compared with.
  { windowRows: 4_000, referenceRows: 2_000 },
];

for (const size of sizes) {
  const alarms = nullAlarms({ ...BASE, ...size }, DAYS * DAY);
  const always = 50 * DAYS * DAY;
  check(
    `no drift, windows of ${size.windowRows}, reference of ${size.referenceRows}, ${DAYS} days: at most 1 alarm`,
    alarms <= 1,
    `${alarms} (always firing: ${always}, never: 0)`,
  );
}

const SHIFTS = [
  { shift: 0.3, most: 3 },
  { shift: 0.2, most: 12 },
] as const;
/** Looked on for so much longer than allowed, to say how long it took. */
const patient = SHIFTS.map(({ shift, most }) => ({ shift, most: 4 * most }));
const found = Array.from({ length: SEEDS }, (_, seed) =>
  windowsToFind({ ...BASE, seed }, LEARNING, patient),
);
for (const [at, { shift, most }] of SHIFTS.entries()) {
  const windows = found.map((each) => each[at]);
  const inTime = windows.filter((count) => count !== null && count <= most).length;
  const sorted = windows.map((count) => count ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  check(
    `one feature of 50 moved by ${shift} σ, windows of 500: found within ${most}`,
    // A shift of exactly the floor shows less than it in half the windows.
    inTime >= 0.95 * SEEDS,
    `${inTime} of ${SEEDS}, median ${sorted[SEEDS / 2]}, slowest ${sorted[SEEDS - 1]} (always firing: 1, never: none)`,
  );
}
