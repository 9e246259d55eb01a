import { describe, expect, it } from 'vitest';
import { SharedWork } from '../../../agent/store/shared-work.ts';

const never = new AbortController().signal;

/** Work that ends when it is told to, or by its signal. */
class Handwork {
  begun = 0;
  end: (value: string) => void = () => undefined;
  onAbort: () => void = () => undefined;
  readonly work = (signal: AbortSignal): Promise<string> => {
    this.begun += 1;
    return new Promise((resolve, reject) => {
      this.end = resolve;
      signal.addEventListener('abort', () => this.onAbort());
      signal.addEventListener('abort', () => setImmediate(() => reject(signal.reason)));
    });
  };
}

describe('ARTIFACT-7: work that several ask for', () => {
  it('is done once, and begun anew after its end', async () => {
    const [shared, hand] = [new SharedWork<string, string>(), new Handwork()];
    const [first, second] = [shared.run('a', never, hand.work), shared.run('a', never, hand.work)];
    const other = shared.run('b', never, async () => 'other');
    await new Promise(setImmediate);
    hand.end('done');
    expect(await Promise.all([first, second, other])).toEqual(['done', 'done', 'other']);
    expect(hand.begun).toBe(1);
    expect(await shared.run('a', never, async () => 'again')).toBe('again');
  });

  it('goes on while one of them still waits, and is given up with the last', async () => {
    const [shared, hand] = [new SharedWork<string, string>(), new Handwork()];
    const [one, two] = [new AbortController(), new AbortController()];
    const first = shared.run('a', one.signal, hand.work);
    const second = shared.run('a', two.signal, hand.work);
    one.abort(new Error('superseded'));
    await expect(first).rejects.toThrow('superseded');
    const third = shared.run('a', never, hand.work);
    hand.end('done');
    expect(await Promise.all([second, third])).toEqual(['done', 'done']);
    expect(hand.begun).toBe(1);
  });

  it('that was given up has ended before the next begins', async () => {
    const [shared, hand] = [new SharedWork<string, string>(), new Handwork()];
    const abort = new AbortController();
    let ended = false;
    const first = shared.run('a', abort.signal, (signal) =>
      hand.work(signal).finally(() => {
        ended = true;
      }),
    );
    const next = new Promise((resolve) => {
      hand.onAbort = () => resolve(shared.run('a', never, async () => `ended: ${ended}`));
    });
    abort.abort(new Error('superseded'));
    await expect(first).rejects.toThrow('superseded');
    expect(await next).toBe('ended: true');
  });

  it('fails for all who wait', async () => {
    const shared = new SharedWork<string, string>();
    const fail = async () => {
      throw new Error('no');
    };
    const both = [shared.run('a', never, fail), shared.run('a', never, fail)];
    for (const each of both) await expect(each).rejects.toThrow('no');
  });
});
