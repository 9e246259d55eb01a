import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { LinkErrorCode } from '../../protocol/error.ts';
import { rotationTranscript } from '../../protocol/handshake.ts';
import { type HelloMessage, helloTranscript } from '../../protocol/hello.ts';
import { type AgentId, type Labels, OWN_LABEL_PREFIX } from '../../protocol/ids.ts';
import { MAX_LABELS, MAX_NAME_LENGTH } from '../../protocol/limits.ts';
import { fingerprintOf, type SigningKey, verifyBytes } from '../../protocol/signing.ts';
import { MIN_PROTOCOL_VERSION, PENDING_SINCE, PROTOCOL_VERSION } from '../../protocol/version.ts';
import { record } from '../audit/record.ts';
import {
  type AgentRow,
  findAgent,
  findAgentByKey,
  inService,
  insertAgent,
  updateAgent,
  updateAgentSeen,
} from '../store/agents.ts';
import type { Store, Transaction } from '../store/database.ts';
import { redeemJoinToken } from '../store/join-tokens.ts';

export type Admission =
  | { readonly kind: 'admitted'; readonly agent: AgentId; readonly row: AgentRow }
  /** Known, and an operator has not approved it yet. */
  | { readonly kind: 'pending'; readonly agent: AgentId }
  | { readonly kind: 'denied'; readonly code: LinkErrorCode; readonly detail: string };

/** Whom this control plane lets in. */
export interface AdmissionPolicy {
  /** New hosts wait for an operator, whatever their token says. */
  readonly requireApproval: boolean;
  /** Oldest wire that is spoken. Agents before 3 check neither the control plane's answers nor releases. */
  readonly minProtocol: number;
}

export const OPEN_ADMISSION: AdmissionPolicy = {
  requireApproval: false,
  minProtocol: MIN_PROTOCOL_VERSION,
};

/** Lets a host in when it proves its key and is known, or brings a join token that is good. */
export async function admit(
  store: Store,
  key: SigningKey,
  nonce: Uint8Array,
  hello: HelloMessage,
  policy: AdmissionPolicy,
  now: number,
): Promise<Admission> {
  const { minProtocol } = policy;
  if (hello.protocol < minProtocol || hello.protocol > PROTOCOL_VERSION) {
    const spoken = `${minProtocol} to ${PROTOCOL_VERSION}`;
    const told = `protocol ${hello.protocol}: this control plane speaks ${spoken}`;
    return deny('unsupported-protocol', told);
  }
  if (!(await proves(key, nonce, hello))) {
    return deny('bad-proof', 'the proof is not a signature of this challenge by the given key');
  }
  const back = await findAgentByKey(store.read, hello.publicKey);
  if (back !== null && isBackUnchanged(back, hello)) {
    return { kind: 'admitted', agent: back.id, row: back };
  }
  const handedOver = await handsOver(hello);
  return store.write((tx) => admitKey(tx, hello, handedOver, policy, now));
}

/**
 * Whether there is nothing to write of a host but that it was seen, which is written of many at once (`Publisher.arrive`).
 * So it is with most of a fleet that comes back after its control plane was away.
 */
function isBackUnchanged(known: AgentRow, hello: HelloMessage): boolean {
  if (!inService(known) || (hello.agent !== null && hello.agent !== known.id)) return false;
  const { serving, capabilities, protocol } = hello;
  return isDeepStrictEqual(
    [serving, capabilities, protocol],
    [known.serving, known.capabilities, known.protocol],
  );
}

/** Whether the hello shows a good signature of a former key. Whose that key is, the database says. */
async function handsOver({ agent, publicKey, rotation }: HelloMessage): Promise<boolean> {
  if (agent === null || rotation === null || rotation === undefined) return false;
  const { previousKey, signature } = rotation;
  return isSignature(previousKey, rotationTranscript(agent, previousKey, publicKey), signature);
}

async function proves(key: SigningKey, nonce: Uint8Array, hello: HelloMessage): Promise<boolean> {
  const transcript = helloTranscript(nonce, key.publicKey, hello.publicKey);
  return isSignature(hello.publicKey, transcript, hello.proof);
}

async function isSignature(key: Uint8Array, message: Uint8Array, signature: Uint8Array) {
  try {
    return await verifyBytes(key, message, signature);
  } catch {
    // WebCrypto throws on 32 bytes that are no point of the curve: no proof either.
    return false;
  }
}

async function admitKey(
  tx: Transaction,
  hello: HelloMessage,
  handedOver: boolean,
  policy: AdmissionPolicy,
  now: number,
): Promise<Admission> {
  // By key and not by id: a host that died before it wrote its id down comes back with the key.
  const known = await findAgentByKey(tx, hello.publicKey);
  if (known !== null) return admitKnown(tx, known, hello, now);
  if (hello.agent !== null) {
    const claimed = await findAgent(tx, hello.agent);
    if (claimed === null) {
      return deny('unknown-agent', `no agent ${hello.agent} has joined here: join with a token`);
    }
    if (handedOver && isKey(hello.rotation?.previousKey, claimed.publicKey)) {
      return admitRotated(tx, claimed, hello, now);
    }
    return deny('bad-proof', `agent ${hello.agent} joined with another key`);
  }
  if (hello.join === null)
    return deny('unknown-agent', 'this key has not joined: use a join token');
  return join(tx, hello, hello.join, policy, now);
}

function isKey(given: Uint8Array | undefined, known: Uint8Array): boolean {
  return given !== undefined && Buffer.from(given).equals(known);
}

/** The key that is known signed that this one takes its place: from now on it is worth nothing itself. */
async function admitRotated(
  tx: Transaction,
  known: AgentRow,
  hello: HelloMessage,
  now: number,
): Promise<Admission> {
  const admission = await admitKnown(tx, known, hello, now);
  if (admission.kind === 'denied') return admission;
  const { id, publicKey } = known;
  await updateAgent(tx, id, { publicKey: hello.publicKey });
  const detail = {
    from: await fingerprintOf(publicKey),
    to: await fingerprintOf(hello.publicKey),
  };
  await record(tx, now, `agent:${id}`, 'agent.key-rotated', `agent:${id}`, detail);
  return admission;
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
  return known.approvedAt === null
    ? hold(known.id, hello)
    : { kind: 'admitted', agent: known.id, row: known };
}

/** An older agent would not understand that it is held: it is sent away for a while, and knocks again. */
function hold(agent: AgentId, hello: HelloMessage): Admission {
  if (hello.protocol >= PENDING_SINCE) return { kind: 'pending', agent };
  return deny('pending-approval', `agent ${agent} waits for an operator to approve it`);
}

async function join(
  tx: Transaction,
  hello: HelloMessage,
  request: NonNullable<HelloMessage['join']>,
  policy: AdmissionPolicy,
  now: number,
): Promise<Admission> {
  const id: AgentId = `agt_${randomBytes(12).toString('hex')}`;
  const granted = await redeemJoinToken(tx, request.token, id, now);
  if (granted === null) {
    return deny('bad-join-token', 'the join token is unknown, used or expired: ask for a new one');
  }
  const { name } = request;
  const { jurisdiction } = granted;
  const labels = labelsOf(granted.labels, request.labels);
  const { publicKey, serving, capabilities, protocol } = hello;
  const held = policy.requireApproval || granted.requireApproval;
  const approvedAt = held ? null : now;
  const placed = { jurisdiction, approvedAt };
  const agent = { id, name, publicKey, labels, serving, capabilities, protocol, ...placed };
  const row = await insertAgent(tx, agent, now);
  const fingerprint = await fingerprintOf(publicKey);
  const detail = { name, labels, jurisdiction, fingerprint, approved: !held };
  await record(tx, now, `agent:${id}`, 'agent.joined', `agent:${id}`, detail);
  return held ? hold(id, hello) : { kind: 'admitted', agent: id, row };
}

/**
 * What the token grants, and what the host says of itself under a prefix: labels decide what a host gets, and hosts
 * don't decide that. Bounded, because both may be at their bound, and together no list could show them.
 */
function labelsOf(granted: Labels, own: Labels): Labels {
  const marked = Object.entries(own)
    .map(([key, value]) => [`${OWN_LABEL_PREFIX}${key}`, value] as const)
    .filter(([key]) => key.length <= MAX_NAME_LENGTH);
  return Object.fromEntries([...Object.entries(granted), ...marked].slice(0, MAX_LABELS));
}

function deny(code: LinkErrorCode, detail: string): Admission {
  return { kind: 'denied', code, detail };
}
