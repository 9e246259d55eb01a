import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putDeployment } from '../../../control-plane/registry/deployments.ts';
import {
  contentOf,
  documentBytes,
  documentsBytes,
} from '../../../control-plane/rollout/desired.ts';
import { desiredContents } from '../../../control-plane/store/schema.ts';
import { type DesiredDeployment, desiredStateSchema } from '../../../protocol/desired.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';

const ACTOR = 'token:ops';
const manifest = `sha256:${'1'.repeat(64)}`;
const loans: DesiredDeployment = {
  ...{ name: 'loans', windowMs: 2_000, serving: {}, monitoring: {} },
  arms: [{ arm: 'stable', model: 'mortgage', version: 1, manifest, share: 1 }],
};
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('the bytes of a document', () => {
  it('DESIRED-17: are these, in every build that does not say in the hash of its contents that they are others', () => {
    const stamp = { agentId: 'agt_1', generation: 7, issuedAt: 8, expiresAt: 9 };
    const content = contentOf([loans]);
    expect(textOf(documentBytes(stamp, content.deployments))).toBe(
      `{"agent":"agt_1","generation":7,"issuedAt":8,"expiresAt":9,"deployments":[{"name":"loans","windowMs":2000,"serving":{},"monitoring":{},"arms":[{"arm":"stable","model":"mortgage","version":1,"manifest":"${manifest}","share":1}]}]}`,
    );
    expect(content.hash).toBe('822320e3e2b5e38275ce36a7ba95679a50fb1aae9dfe222208a80e8685b87e52');
  });

  it('say what was asked for, whatever that is', () => {
    const generations = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const times = fc.integer({ min: 0, max: 4e12 });
    const hex = fc.stringMatching(/^[0-9a-f]{24}$/);
    fc.assert(
      fc.property(hex, generations, times, times, (id, generation, issuedAt, expiresAt) => {
        const stamp = { agentId: `agt_${id}`, generation, issuedAt, expiresAt };
        const bytes = documentBytes(stamp, contentOf([loans]).deployments);
        const { agentId: agent, ...rest } = stamp;
        const read = desiredStateSchema.parse(JSON.parse(textOf(bytes)));
        expect(read).toEqual({ agent, ...rest, deployments: [loans] });
      }),
    );
  });

  it('are the same for one and for many', () => {
    const texts = fc.array(fc.string({ unit: 'binary' }).map((text) => JSON.stringify([text])));
    fc.assert(
      fc.property(texts, (contents) => {
        const documents = contents.map((deployments, at) => ({
          stamp: { agentId: 'agt_1', generation: at + 1, issuedAt: 8, expiresAt: 9 },
          deployments,
        }));
        const alone = documents.map(({ stamp, deployments }) => documentBytes(stamp, deployments));
        expect(documentsBytes(documents).map(textOf)).toEqual(alone.map(textOf));
      }),
    );
  });
});

describe('a fleet whose documents are signed together', () => {
  let control: ControlFixture;
  beforeEach(async () => {
    control = await ControlFixture.start();
  });
  afterEach(() => control.stop());

  const pinned = async (...versions: number[]) => {
    const request = { model: 'mortgage', version: 1, pinned: versions };
    await putDeployment(control.store, 'loans', request, ACTOR, Date.now());
    await control.hub.fleet.reconcile('test');
  };
  const payloadOf = (agent: LinkAgent) => textOf(agent.last('desired').envelope.payload);

  it('DESIRED-17: gives each host the very same bytes when it links again, and after a restart', async () => {
    const agents = [await control.agent(), await control.agent(), await control.agent()];
    await pinned(2);
    for (const agent of agents) await agent.until(() => agent.arms('loans')?.length === 2);
    expect(agents.map((agent) => agent.last('desired').envelope.inclusion?.size)).toEqual([
      3, 3, 3,
    ]);
    const first = agents.map(payloadOf);
    expect(new Set(first).size).toBe(3);
    for (const agent of agents) {
      await agent.cut();
      await agent.join(control.url, null);
    }
    expect(agents.map(payloadOf)).toEqual(first);
    await control.restart();
    for (const agent of agents) await agent.join(control.url, null);
    expect(agents.map(payloadOf)).toEqual(first);
  });

  it('keeps what they say once, and not for longer than a document says it', async () => {
    for (let at = 0; at < 3; at += 1) await control.agent();
    const kept = async () =>
      (await control.store.read.select().from(desiredContents)).map(({ deployments }) =>
        (JSON.parse(deployments) as DesiredDeployment[]).map(({ arms }) => arms.length),
      );
    expect(await kept()).toEqual([[1]]);
    await pinned(2);
    await pinned(2, 3);
    expect(await kept()).toEqual([[3]]);
  });
});
