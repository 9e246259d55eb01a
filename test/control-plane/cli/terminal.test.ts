import { describe, expect, it } from 'vitest';
import { wantsColour } from '../../../control-plane/cli/config.ts';
import { bar, Terminal, table } from '../../../control-plane/cli/terminal.ts';

function terminal(options: { json?: boolean; colour?: boolean; tty?: boolean }) {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err') => ({
    isTTY: options.tty === true,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const { json = false, colour = false } = options;
  return { written, terminal: new Terminal({ out: sink('out'), err: sink('err'), json, colour }) };
}

describe('terminal', () => {
  it('speaks to people without --json, to programs with it, never to both', () => {
    for (const json of [false, true]) {
      const { written, terminal: speaker } = terminal({ json });
      speaker.say('hello');
      speaker.result({ ok: true });
      expect(written.out).toBe(json ? '{"ok":true}\n' : 'hello\n');
    }
  });

  it('shows progress only where it can be written over', () => {
    for (const tty of [false, true]) {
      const { written, terminal: speaker } = terminal({ tty });
      speaker.progress('10 %');
      expect(written.err.includes('10 %')).toBe(tty);
      expect(written.out).toBe('');
    }
  });

  it('wants colour on a terminal, unless NO_COLOR says otherwise', () => {
    expect(wantsColour({ isTTY: true }, {})).toBe(true);
    expect(wantsColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(wantsColour({}, {})).toBe(false);
  });

  it('aligns columns whether or not cells are painted', () => {
    const { terminal: painter } = terminal({ colour: true });
    const [first, second] = table([
      [painter.paint('red', 'a'), 'x'],
      ['bbb', 'y'],
    ]).split('\n');
    expect(first).toBe('\u001b[31ma\u001b[0m    x');
    expect(second).toBe('bbb  y');
  });

  it('draws a bar in eighths, always as wide as asked', () => {
    expect(bar(0, 4)).toBe('    ');
    expect(bar(0.5, 4)).toBe('██  ');
    expect(bar(1 / 32, 4)).toBe('▏   ');
    expect(bar(7, 4)).toBe('████');
    expect(bar(-1, 4)).toBe('    ');
  });
});
