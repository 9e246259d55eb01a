import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogSwitch } from '../../../agent/command/log-switch.ts';
import { LogTail } from '../../../agent/log-tail.ts';
import { commandSchema } from '../../../protocol/command.ts';
import { MAX_LOG_LINE, MAX_LOG_LINES } from '../../../protocol/diagnostics.ts';
import { MAX_LOG_LEVEL_MS, MIN_LOG_LEVEL_MS } from '../../../protocol/limits.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function logging(level: string) {
  const tail = new LogTail();
  const log = pino({ level }, pino.multistream([{ level: 'trace', stream: tail }]));
  const messages = () => tail.lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  return { log, messages, switched: new LogSwitch(log) };
}

describe('COMMAND-10: a level', () => {
  it('holds until its end, and then it is as the agent was started', () => {
    const { log, messages, switched } = logging('warn');
    const until = switched.set('debug', 5_000);
    expect(until).toBe(Date.now() + 5_000);
    log.debug('while it holds');
    vi.advanceTimersByTime(4_999);
    log.debug('a millisecond before');
    vi.advanceTimersByTime(1);
    log.debug('too late');
    log.warn('as ever');
    const said = ['log level set', 'while it holds', 'a millisecond before', 'as ever'];
    expect(messages()).toEqual(said);
  });

  it('takes the place of the one before, end and all', () => {
    const { log, switched } = logging('info');
    switched.set('debug', 1_000);
    switched.set('error', 5_000);
    vi.advanceTimersByTime(1_000);
    expect(log.level).toBe('error');
    vi.advanceTimersByTime(4_000);
    expect(log.level).toBe('info');
  });

  it('has an end between a second and a day', () => {
    const takes = (forMs: number) =>
      commandSchema.safeParse({ name: 'log-level', level: 'debug', forMs }).success;
    expect([takes(MIN_LOG_LEVEL_MS), takes(MAX_LOG_LEVEL_MS)]).toEqual([true, true]);
    expect([takes(MIN_LOG_LEVEL_MS - 1), takes(MAX_LOG_LEVEL_MS + 1)]).toEqual([false, false]);
  });
});

it('the newest lines are kept, each cut at its bound', () => {
  const tail = new LogTail();
  for (let line = 0; line < 5 * MAX_LOG_LINES; line += 1) tail.write(`${line}\n`);
  expect(tail.lines).toHaveLength(MAX_LOG_LINES);
  expect(tail.lines[0]).toBe(String(4 * MAX_LOG_LINES));
  tail.write('x'.repeat(MAX_LOG_LINE + 1));
  expect(tail.lines.at(-1)).toBe('x'.repeat(MAX_LOG_LINE));
});
