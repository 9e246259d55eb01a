import { eq } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agents } from '../../../control-plane/store/schema.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

const place = () => ({
  ...{ deployment: 'loans', manifest: control.manifests[0], arm: 'stable' as const },
  ...{ windowStartMs: 1_000_000, windowMs: WINDOW_MS },
});
const rows = async () =>
  (await control.hub.monitoring.windows('loans', 0, Number.MAX_SAFE_INTEGER)).totals.rows;
const window = (count: number) => syntheticWindow(seeded(count), { rows: count });

describe('a window of a host that may not send one', () => {
  it('is not read before the host has joined: the link is closed, and nothing that was merged changes', async () => {
    const agent = await control.agent();
    agent.window(place(), window(5));
    await agent.acked();
    const stranger = await LinkAgent.create();
    await stranger.open(control.url);
    const body = encodeWindow(window(7));
    stranger.send({
      ...{ kind: 'telemetry', boot: agent.boot, sequence: 2, ...place(), body },
      ...{ clockAheadMs: null, windows: 1 },
    });
    await stranger.until(() => stranger.closed !== null);
    expect(stranger.last('refused').code).toBe('unexpected-message');
    expect(stranger.acknowledged).toBe(0);
    expect(await rows()).toBe(5);
    agent.window(place(), window(3));
    await agent.acked();
    expect(await rows()).toBe(8);
  });

  it('is not taken from a host that was revoked: it may not join again, and is told not to come back', async () => {
    const agent = await control.agent();
    agent.window(place(), window(5));
    await agent.acked();
    await control.store.write((tx) =>
      tx
        .update(agents)
        .set({ revokedAt: 7 })
        .where(eq(agents.id, agent.id ?? '')),
    );
    await agent.cut();
    await agent.join(control.url, null);
    await agent.until(() => agent.closed !== null);
    expect(agent.last('refused')).toMatchObject({ code: 'revoked', retryAfterMs: null });
    agent.window(place(), window(7));
    expect(await rows()).toBe(5);
  });
});
