/**
 * The compiled body of a worker thread. Node 20 can't start a thread from TypeScript: from sources, as tests run them,
 * the built file is taken, which `npm test` makes first.
 */
export const THREAD_ENTRY = import.meta.url.endsWith('.ts')
  ? new URL('../../../../dist/agent/engine/model/thread/thread-main.js', import.meta.url)
  : new URL('./thread-main.js', import.meta.url);
