import { randomBytes } from 'node:crypto';
import type { LinkErrorCode } from '../../protocol/error.ts';
import { type HelloMessage, helloTranscript } from '../../protocol/hello.ts';
import type { AgentId, Labels } from '../../protocol/ids.ts';
import { MAX_LABELS } from '../../protocol/limits.ts';
import { type SigningKey, verifyBytes } from '../../protocol/signing.ts';
import { MIN_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../../protocol/version.ts';
import { record } from '../audit/record.ts';
import {
  type AgentRow,
  findAgent,
  findAgentByKey,
  insertAgent,
  updateAgentSeen,
} from '../store/agents.ts';
import type { Store, Transaction } from '../store/database.ts';
import { redeemJoinToken } from '../store/join-tokens.ts';

export type Admission =
  | { readonly kind: 'admitted'; readonly agent: AgentId; readonly name: string }
  | { readonly kind: 'denied'; readonly code: LinkErrorCode; readonly detail: string };

/** Lets a host in when it proves its key and is known, or brings a join token that is good. */
export async function admit(
  store: Store,
  key: SigningKey,
  nonce: Uint8Array,
  hello: HelloMessage,
  now: number,
): Promise<Admission> {
  if (hello.protocol < MIN_PROTOCOL_VERSION || hello.protocol > PROTOCOL_VERSION) {
    const spoken = `${MIN_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`;
    return deny('unsupported-protocol', `protocol ${hello.protocol}: this build speaks ${spoken}`);
  }
  if (!(await proves(key, nonce, hello))) {
    return deny('bad-proof', 'the proof is not a signature of this challenge by the given key');
  }
  return store.write((tx) => admitKey(tx, hello, now));
}

async function proves(key: SigningKey, nonce: Uint8Array, hello: HelloMessage): Promise<boolean> {
  const transcript = helloTranscript(nonce, key.publicKey, hello.publicKey);
  try {
    return await verifyBytes(hello.publicKey, transcript, hello.proof);
  } catch {
    // WebCrypto throws on 32 bytes that are no point of the curve: no proof either.
    return false;
  }
}

async function admitKey(tx: Transaction, hello: HelloMessage, now: number): Promise<Admission> {
  // By key and not by id: a host that died before it wrote its id down comes back with the key.
  const known = await findAgentByKey(tx, hello.publicKey);
  if (known !== null) return admitKnown(tx, known, hello, now);
  if (hello.agent !== null) {
    const claimed = await findAgent(tx, hello.agent);
    return claimed === null
      ? deny('unknown-agent', `no agent ${hello.agent} has joined here: join with a token`)
      : deny('bad-proof', `agent ${hello.agent} joined with another key`);
  }
  if (hello.join === null)
    return deny('unknown-agent', 'this key has not joined: use a join token');
  return join(tx, hello, hello.join, now);
}

async function admitKnown(
  tx: Transaction,
  known: AgentRow,
  hello: HelloMessage,
  now: number,
): Promise<Admission> {
  if (hello.agent !== null && hello.agent !== known.id) {
    return deny('bad-proof', `this key belongs to another agent than ${hello.agent}`);
  }
  if (known.revokedAt !== null) return deny('revoked', `agent ${known.id} was revoked`);
  const { serving, capabilities, protocol } = hello;
  await updateAgentSeen(tx, known.id, { serving, capabilities, protocol }, now);
  return { kind: 'admitted', agent: known.id, name: known.name };
}

async function join(
  tx: Transaction,
  hello: HelloMessage,
  request: NonNullable<HelloMessage['join']>,
  now: number,
): Promise<Admission> {
  const id: AgentId = `agt_${randomBytes(12).toString('hex')}`;
  const granted = await redeemJoinToken(tx, request.token, id, now);
  if (granted === null) {
    return deny('bad-join-token', 'the join token is unknown, used or expired: ask for a new one');
  }
  const { name } = request;
  // What the token grants wins: labels decide what a host gets, and hosts don't decide that.
  const labels = boundedLabels(granted, request.labels);
  const { publicKey, serving, capabilities, protocol } = hello;
  await insertAgent(tx, { id, name, publicKey, labels, serving, capabilities, protocol }, now);
  await record(tx, now, `agent:${id}`, 'agent.joined', `agent:${id}`, { name, labels });
  return { kind: 'admitted', agent: id, name };
}

/** Both may be at their bound; together they would be an agent that no list could show. */
function boundedLabels(granted: Labels, wished: Labels): Labels {
  const others = Object.entries(wished).filter(([key]) => !Object.hasOwn(granted, key));
  return Object.fromEntries([...Object.entries(granted), ...others].slice(0, MAX_LABELS));
}

function deny(code: LinkErrorCode, detail: string): Admission {
  return { kind: 'denied', code, detail };
}
