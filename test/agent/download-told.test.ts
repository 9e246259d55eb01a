import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { AttackedHost, digestOf, type Version } from './attacks/attacked-host.ts';

let host: AttackedHost;
afterEach(() => host.stop());

const PADDING_BYTES = 2 ** 21;

/** The same version with a model of more than 2 MiB: with a doc_string, which is field 6 of an ONNX model. */
function padded(version: Version): Version {
  const [manifest, model] = version.files.map((digest) => host.artifacts.get(digest) as Buffer);
  const text = randomBytes(PADDING_BYTES / 2).toString('hex');
  // 2 MiB as a varint.
  const field = Buffer.from([0x32, 0x80, 0x80, 0x80, 0x01]);
  const large = Buffer.concat([model, field, Buffer.from(text)]);
  const listing = JSON.parse(manifest.toString());
  const files = [{ role: 'model', digest: digestOf(large), sizeBytes: large.length }];
  const document = Buffer.from(JSON.stringify({ ...listing, files }));
  for (const bytes of [large, document]) host.artifacts.set(digestOf(bytes), bytes);
  return { ...version, manifest: digestOf(document), files: [document, large].map(digestOf) };
}

it('PROGRESS-1, EGRESS-1: a host says how far its download is, and counts what it asked for', async () => {
  host = await AttackedHost.start();
  const next = padded(await host.version('loans', 2));
  await host.say({ generation: 2, versions: { loans: next } }, [await host.release(next)]);
  await host.reports((report) => report.applied === 2);
  expect(await host.answering()).toBe(2);
  const told = () =>
    host.control.heard.flatMap((message) => (message.kind === 'progress' ? [message] : []));
  await host.control.until(() => told().at(-1)?.downloads.length === 0);
  const [{ downloads }] = told();
  expect(downloads).toEqual([
    {
      ...{ manifest: next.manifest, digest: next.files[1] },
      ...{ doneBytes: expect.any(Number), totalBytes: host.artifacts.get(next.files[1])?.length },
    },
  ]);
  await host.halt();
  await host.boot();
  await host.join();
  const ledger = (await host.control.heardOf('ledger', 2))[1];
  const requests = ledger.egress['artifact-request'];
  // Each file of both versions, and the chunks of the large one.
  expect(requests?.messages).toBe(5);
  expect(requests?.bytes).toBeGreaterThan(5 * 64);
  expect(requests?.bytes).toBeLessThan(5 * 128);
});
