import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PING_INTERVAL_MS } from '../control-plane/link/session.ts';
import { encodeDown } from '../protocol/wire.ts';
import { mlpModel } from '../test/support/random-models.ts';
import type { BareIngestAnswer } from './support/bare-ingest-server.ts';
import { QUICK } from './support/bench.ts';
import { BenchChild, chooseCores } from './support/child.ts';
import { describeMade } from './support/described.ts';
import type { FrameLoadAnswer, FrameLoadCommand, Side } from './support/frame-load.ts';
import { LiveControl } from './support/live-control.ts';
import { cpuTicks, shareOfOthers } from './support/others.ts';
import { atLeast, atMost, machineLine, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'How many windows a second does a control plane take in, exactly once and on disk, over what a bare ws server reads of the same frames?';

const LINKS = QUICK ? 20 : 100;
/** Of each link in a round. */
const WINDOWS = 64;
const ROUNDS = QUICK ? 3 : 11;
const FEATURES = 20;
const ROWS = 500;
/** What an agent in steady state sends one window of 20 features in. */
const WINDOW_MS = 30_000;
const HEADERS_BYTES = 66;

const cores = chooseCores();
const folder = await mkdtemp(join(tmpdir(), 'driftline-ingest-'));
const before = cpuTicks();
process.stdout.write(
  `${QUESTION}\n${machineLine(cores)}; ${LINKS} links, windows of ${FEATURES} features${QUICK ? '; quick' : ''}\n\n`,
);
const control = await LiveControl.start(folder, cores.server);
const ack = encodeDown({ kind: 'ack', boot: '0'.repeat(16), sequence: 1000 });
const bare = await BenchChild.start<object, BareIngestAnswer>(
  'bare-ingest-server.js',
  cores.server,
  [String(ack.length)],
);
const load = await BenchChild.start<FrameLoadCommand, FrameLoadAnswer>('frame-load.js', cores.load);

/** CPU seconds of both sides so far. */
async function cpu(): Promise<Record<Side, number>> {
  const ours = await control.metric('process_cpu_seconds_total');
  return { control: ours ?? Number.NaN, bare: (await bare.child.ask({})).cpuSeconds };
}

try {
  const bytes = mlpModel({ widths: [FEATURES, 32, 2], activation: 'Relu', form: 'gemm' }, 2);
  const files = await describeMade(folder, 'wide', bytes, FEATURES);
  const { manifest, manifestPath, profilePath } = files;
  if (profilePath === null) throw new Error('the model has no profile');
  await control.deploy('wide', files, WINDOW_MS);
  const tokens: string[] = [];
  for (let at = 0; at < LINKS; at += 1) tokens.push(await control.joinToken());
  const version = { deployment: 'wide', manifest, windowMs: WINDOW_MS, rows: ROWS };
  await load.child.ask({ kind: 'windows', manifestPath, profilePath, ...version });
  await load.child.ask({ kind: 'join', port: Number(new URL(control.url).port), tokens });
  await load.child.ask({ kind: 'open', port: bare.first.port, links: LINKS });

  const rates: Record<Side, number[]> = { control: [], bare: [] };
  let last: FrameLoadAnswer = load.first;
  // The first round is not counted: both compile what they run.
  let since = await cpu();
  for (let round = 0; round <= ROUNDS; round += 1) {
    if (round === 1) since = await cpu();
    for (const side of ['control', 'bare'] as const) {
      last = await load.child.ask({ kind: 'send', side, windows: WINDOWS });
      if (round > 0) rates[side].push((1000 * LINKS * WINDOWS) / last.ms);
    }
  }
  const used = await cpu();
  // Until each link has been asked whether it is there.
  await new Promise((wake) => setTimeout(wake, PING_INTERVAL_MS));
  const idle = await load.child.ask({ kind: 'send', side: 'control', windows: 0 });

  const ratios = quartiles(rates.control.map((rate, at) => rate / rates.bare[at]));
  const rows = (['control', 'bare'] as const).map((side) => {
    const { median, q1, q3 } = quartiles(rates[side]);
    const figures = [median, q1, q3].map((rate) => Math.round(rate).toLocaleString('en'));
    const cpuUs = (1e6 * (used[side] - since[side])) / (ROUNDS * LINKS * WINDOWS);
    return [side, ...figures, cpuUs.toFixed(1)];
  });
  const head = ['', 'windows/s', 'q1', 'q3', 'CPU us/window'];
  process.stdout.write(`${table([head, ...rows])}\n\n`);
  const cpuRatio = (used.control - since.control) / (used.bare - since.bare);
  const heartbeat = idle.pingBytes + idle.pongBytes;
  const perSecond =
    last.frameBytes / (WINDOW_MS / 1000) + idle.pongBytes / (PING_INTERVAL_MS / 1000);
  process.stdout.write(
    [
      verdict('windows a second, control plane / bare', atLeast(0.7), ratios),
      `CPU of the control plane a window / bare: ${cpuRatio.toFixed(1)}`,
      verdict('bytes of a heartbeat, both ways', atMost(128), heartbeat),
      `with the headers of Ethernet, IP and TCP, and an acknowledgement each: ${heartbeat + 4 * HEADERS_BYTES}`,
      verdict(
        `bytes a second up: one window of ${last.frameBytes} bytes every 30 s, and pongs`,
        atMost(50),
        perSecond,
      ),
      '',
    ].join('\n'),
  );
  const sent = LINKS * WINDOWS * (ROUNDS + 1);
  const merged = await control.mergedWindows('wide', Date.now() - 8 * 86_400_000);
  process.stdout.write(`${sent} windows sent, ${merged} merged\n`);
  if (heartbeat === 0 || merged !== sent) process.exitCode = 1;
} finally {
  await load.child.stop();
  await bare.child.stop();
  await control.stop();
  await rm(folder, { recursive: true, force: true });
  const after = cpuTicks();
  if (before !== null && after !== null) {
    const percent = (shareOfOthers(before, after) * 100).toFixed(0);
    process.stdout.write(`CPU time of this machine that others took meanwhile: ${percent}%\n`);
  }
}
