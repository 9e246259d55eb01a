import { describe, expect, it } from 'vitest';
import { commandMessageSchema, resultMessageSchema } from '../../protocol/command.ts';

const id = `cmd_${'0'.repeat(16)}`;
const command = (fields: object) => ({
  kind: 'command',
  id,
  deadline: 1,
  command: { name: 'tune', deployment: 'loans' },
  ...fields,
});
const takes = (fields: object) => commandMessageSchema.safeParse(command(fields)).success;

describe('COMMAND-6: what can be asked and answered', () => {
  it('is a closed list of commands', () => {
    expect(takes({})).toBe(true);
    expect(takes({ command: { name: 'shell', line: 'rm -rf /' } })).toBe(false);
    expect(takes({ command: { name: 'tune', deployment: '../etc' } })).toBe(false);
    expect(takes({ id: 'cmd_1' })).toBe(false);
    expect(takes({ deadline: -1 })).toBe(false);
  });

  it('is a value of a command, or a code of a closed list with a bounded text', () => {
    const outcome = (value: object) => ({ kind: 'result', id, outcome: value });
    const failed = { ok: false, code: 'busy', message: 'x'.repeat(5000) };
    const parsed = resultMessageSchema.parse(outcome(failed));
    expect(parsed.outcome).toMatchObject({ code: 'busy', message: 'x'.repeat(2000) });
    const wrong = [
      { ok: false, code: 'tired', message: '' },
      { ok: true, value: { name: 'tune', tuning: {} } },
      { ok: true, value: { name: 'other' } },
    ];
    for (const value of wrong) {
      expect(resultMessageSchema.safeParse(outcome(value)).success).toBe(false);
    }
  });
});
