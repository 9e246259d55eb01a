import { describe, expect, it } from 'vitest';
import {
  DEFAULT_WORKERS_BYTES,
  firstPlace,
  INLINE_LIMIT_US,
  INLINE_OPEN_LIMIT_MS,
  INLINE_TRIAL_BYTES,
  lastPlace,
  workersOf,
} from '../../../../agent/engine/model/placement.ts';

const quick = { runUs: 10, openMs: 1 };
const slow = { runUs: INLINE_LIMIT_US + 1, openMs: 1 };

describe('where a model is opened first', () => {
  it('as it was asked, whatever the model is', () => {
    expect(firstPlace({ placement: 'inline' }, 'cuda', 1e9)).toBe('inline');
    expect(firstPlace({ placement: 'worker' }, 'cpu', 1)).toBe('worker');
  });

  it('beside the serving thread if the file is large or the provider no CPU', () => {
    expect(firstPlace({}, 'cpu', INLINE_TRIAL_BYTES)).toBe('inline');
    expect(firstPlace({ placement: 'auto' }, 'cpu', INLINE_TRIAL_BYTES + 1)).toBe('worker');
    expect(firstPlace({}, 'webgpu', 1)).toBe('worker');
  });
});

describe('where a model stays', () => {
  it('as it was asked, however long it takes', () => {
    expect(lastPlace({ placement: 'inline' }, 'cpu', 'inline', slow)).toBe('inline');
    expect(lastPlace({ placement: 'worker' }, 'cpu', 'worker', quick)).toBe('worker');
  });

  it('inline up to the limit, beside it past the limit', () => {
    const at = { runUs: INLINE_LIMIT_US, openMs: 1 };
    expect(lastPlace({}, 'cpu', 'inline', at)).toBe('inline');
    expect(lastPlace({}, 'cpu', 'inline', slow)).toBe('worker');
  });

  it('comes back from a worker only if it opens quickly too', () => {
    const opensSlowly = { runUs: 10, openMs: INLINE_OPEN_LIMIT_MS };
    expect(lastPlace({}, 'cpu', 'worker', quick)).toBe('inline');
    expect(lastPlace({}, 'cpu', 'worker', opensSlowly)).toBe('worker');
    expect(lastPlace({}, 'webgpu', 'worker', quick)).toBe('worker');
  });

  it('where it is, if nothing could be run', () => {
    expect(lastPlace({}, 'cpu', 'inline', { runUs: null, openMs: 1 })).toBe('inline');
    expect(lastPlace({}, 'cpu', 'worker', { runUs: null, openMs: 1 })).toBe('worker');
  });
});

describe('how many workers', () => {
  it('as asked, or one for each core of the share, at least one', () => {
    expect(workersOf({ workers: 7 }, 1, { cores: 2, engines: 1 })).toBe(7);
    expect(workersOf({}, 1, { cores: 16, engines: 3 })).toBe(5);
    expect(workersOf({}, 1, { cores: 2, engines: 4 })).toBe(1);
  });

  it('no more copies of large weights than fit by default', () => {
    const share = { cores: 16, engines: 1 };
    expect(workersOf({}, DEFAULT_WORKERS_BYTES / 4, share)).toBe(4);
    expect(workersOf({}, 2 * DEFAULT_WORKERS_BYTES, share)).toBe(1);
  });
});
