import { type DesiredState, desiredStateSchema } from '../../protocol/desired.ts';
import { ProtocolError } from '../../protocol/error.ts';
import { type Renewal, renewalSchema } from '../../protocol/lease.ts';
import { type Envelope, keyIdOf, open } from '../../protocol/signing.ts';
import { describe } from '../../protocol/wire.ts';

/** Verifies an envelope against the online keys and reads what it says. Throws `ProtocolError`. */
export async function openDesired(
  envelope: Envelope,
  onlineKeys: readonly Uint8Array[],
  agent: string,
): Promise<{ readonly desired: DesiredState; readonly key: Uint8Array }> {
  const key = await signerOf(envelope, onlineKeys);
  const payload = await open(key, 'desired', envelope);
  const parsed = desiredStateSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)));
  if (!parsed.success) {
    throw new ProtocolError('schema', `the desired state is invalid: ${describe(parsed.error)}`);
  }
  if (parsed.data.agent !== agent) {
    throw new ProtocolError(
      'signature',
      `the desired state is for ${parsed.data.agent}, not for ${agent}`,
    );
  }
  return { desired: parsed.data, key };
}

/** Verifies a renewal of leases in the same way. Throws `ProtocolError`. */
export async function openRenewal(
  envelope: Envelope,
  onlineKeys: readonly Uint8Array[],
  agent: string,
): Promise<Renewal> {
  const payload = await open(await signerOf(envelope, onlineKeys), 'lease', envelope);
  const parsed = renewalSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)));
  if (!parsed.success) {
    throw new ProtocolError('schema', `the renewal is invalid: ${describe(parsed.error)}`);
  }
  if (parsed.data.agent === agent) return parsed.data;
  throw new ProtocolError('signature', `the renewal is for ${parsed.data.agent}, not for ${agent}`);
}

/** The key that an envelope says; which it is, decides `open`. */
async function signerOf({ keyId }: Envelope, keys: readonly Uint8Array[]): Promise<Uint8Array> {
  for (const key of keys) if ((await keyIdOf(key)) === keyId) return key;
  throw new ProtocolError('signature', `key ${keyId} is no online key of this host's root`);
}
