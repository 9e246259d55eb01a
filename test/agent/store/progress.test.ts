import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ProgressBoard, TELL_EVERY_MS } from '../../../agent/store/progress.ts';

const digest = (name: number) => `sha256:${String(name).padStart(64, '0')}`;
const entry = (name: number, doneBytes: number) => ({
  ...{ manifest: digest(0), digest: digest(name), doneBytes, totalBytes: 100 },
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('PROGRESS-1: is told at once, then at most once a second, and at the end that nothing is left', () => {
  const told: string[] = [];
  const board = new ProgressBoard((downloads) => {
    told.push(downloads.map(({ digest: of, doneBytes }) => `${of.at(-1)}:${doneBytes}`).join(' '));
  });
  for (let done = 0; done <= 50; done += 1) board.set(entry(1, done));
  board.set(entry(2, 7));
  expect(told).toEqual(['1:0']);
  vi.advanceTimersByTime(TELL_EVERY_MS - 1);
  expect(told).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(told.slice(1)).toEqual(['1:50 2:7']);
  // Nothing new, nothing said.
  vi.advanceTimersByTime(10 * TELL_EVERY_MS);
  expect(told).toHaveLength(2);
  board.end(digest(1));
  board.end(digest(2));
  board.end(digest(2));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(told.slice(2)).toEqual(['2:7', '']);
});

it('PROGRESS-1: names as many downloads as a message takes', () => {
  let most = 0;
  const board = new ProgressBoard((downloads) => {
    most = Math.max(most, downloads.length);
  });
  for (let name = 1; name < 30; name += 1) board.set(entry(name, 0));
  vi.advanceTimersByTime(TELL_EVERY_MS);
  expect(most).toBe(16);
});
