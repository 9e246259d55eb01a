import { sealDesired } from '../control-plane/rollout/sign-batch.ts';
import { type Envelope, generateSigningKey, open, seal } from '../protocol/signing.ts';
import { encodeDown } from '../protocol/wire.ts';
import { atLeast, machineLine, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'What does a rollback cost in signatures: one for each of 10,000 documents, or one for all of them?';

const QUICK = process.argv.includes('--quick');
const AGENTS = QUICK ? 1_000 : 10_000;
const ROUNDS = QUICK ? 3 : 7;
/** Ten deployments, as an agent would have them. */
const DEPLOYMENTS = 10;
const GOAL = 3;

const { key } = await generateSigningKey();
const payloads = Array.from({ length: AGENTS }, (_, agent) => {
  const deployments = Array.from({ length: DEPLOYMENTS }, (_, at) => ({
    ...{ name: `deployment-${at}`, windowMs: 10_000, serving: {}, monitoring: {} },
    arms: [
      {
        ...{ arm: 'stable', model: `model-${at}`, version: 3, share: 1 },
        manifest: `sha256:${'7'.repeat(64)}`,
      },
    ],
  }));
  const id = `agt_${String(agent).padStart(24, '0')}`;
  const state = { agent: id, generation: agent + 1, issuedAt: 0, expiresAt: 1, deployments };
  return new TextEncoder().encode(JSON.stringify(state));
});

async function took(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function each(): Promise<Envelope[]> {
  const sealed: Envelope[] = [];
  for (const payload of payloads) sealed.push(await seal(key, 'desired', payload));
  return sealed;
}

/** As an agent does it: one document at a time. */
async function verify(envelopes: readonly Envelope[]): Promise<void> {
  for (const envelope of envelopes) await open(key.publicKey, 'desired', envelope);
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
const found = {
  each: [] as number[],
  batch: [] as number[],
  verifyEach: [] as number[],
  verifyBatch: [] as number[],
};
await took(each);
await took(() => sealDesired(key, payloads));
let last: readonly Envelope[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  let alone: Envelope[] = [];
  let together: Envelope[] = [];
  found.each.push(
    await took(async () => {
      alone = await each();
    }),
  );
  found.batch.push(
    await took(async () => {
      together = await sealDesired(key, payloads);
    }),
  );
  found.verifyEach.push(await took(() => verify(alone)));
  found.verifyBatch.push(await took(() => verify(together)));
  last = [alone[0], together[0]];
}
const NAMES: Readonly<Record<string, string>> = {
  each: 'signed one by one',
  batch: 'signed together, with a path each',
  verifyEach: 'verified, signed one by one',
  verifyBatch: 'verified, signed together',
};
const lines = Object.entries(found).map(([name, values]) => {
  const { median, q1, q3 } = quartiles(values);
  const perDocument = ((1000 * median) / AGENTS).toFixed(1);
  return [NAMES[name], ...[median, q1, q3].map((value) => value.toFixed(0)), perDocument];
});
const head = [`${AGENTS.toLocaleString('en')} documents, ms`, 'median', 'q1', 'q3', 'µs each'];
process.stdout.write(`${table([head, ...lines])}\n\n`);
const [bare, batched] = last.map(
  (envelope) => encodeDown({ kind: 'desired', envelope, releases: [] }).length,
);
process.stdout.write(
  `a document of ${payloads[0].length} bytes travels in ${bare} bytes, and in ${batched} with its path\n`,
);
const ratios = quartiles(found.each.map((ms, at) => ms / found.batch[at]));
process.stdout.write(`${verdict('times less to sign', atLeast(GOAL), ratios)}\n`);
