import { toHex } from './bytes.ts';
import type { RefusedMessage } from './error.ts';
import type { PendingMessage, WelcomeMessage } from './hello.ts';
import { type SigningKey, signBytes, verifyBytes } from './signing.ts';

/**
 * How each side of a link proves its key. The agent signs the control plane's nonce (`helloTranscript`); the control
 * plane signs its answer together with the two frames before it, in one of which is the agent's nonce. So an answer is
 * worth nothing on another link, and nobody on the way can have changed what either side said.
 */
export type Answer = WelcomeMessage | PendingMessage | RefusedMessage;

/** SHA-256 of the challenge and of the hello, each as the bytes of its frame. */
export interface Frames {
  readonly challenge: Uint8Array;
  readonly hello: Uint8Array;
}

export async function hashFrame(frame: Uint8Array): Promise<Uint8Array> {
  // A copy: a frame may be a view of a buffer that is used again before the digest is taken.
  return new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(frame)));
}

/** The answer with the control plane's signature. */
export async function proveAnswer<T extends Answer>(
  key: SigningKey,
  frames: Frames,
  answer: T,
): Promise<T> {
  return { ...answer, signature: await signBytes(key, answerTranscript(frames, answer)) };
}

/** Whether `controlKey` signed this answer to these frames. An answer without a signature is nobody's. */
export async function isProven(
  controlKey: Uint8Array,
  frames: Frames,
  answer: Answer,
): Promise<boolean> {
  if (answer.signature === undefined) return false;
  return verifyBytes(controlKey, answerTranscript(frames, answer), answer.signature);
}

export function answerTranscript(frames: Frames, answer: Answer): Uint8Array {
  const said = [toHex(frames.challenge), toHex(frames.hello), ...fieldsOf(answer)];
  // An array of strings and integers has one JSON text, whoever writes it.
  return new TextEncoder().encode(`driftline/${answer.kind}/v1\n${JSON.stringify(said)}`);
}

function fieldsOf(answer: Answer): readonly (string | number | null)[] {
  switch (answer.kind) {
    case 'welcome':
      return [answer.protocol, answer.agent, answer.serverTimeMs, answer.downloadToken];
    case 'pending':
      return [answer.agent];
    case 'refused':
      return [answer.code, answer.detail, answer.retryAfterMs];
  }
}

/** What the old key of an agent signs to hand over to a new one. Names the agent, who is one of one control plane. */
export function rotationTranscript(
  agent: string,
  previousKey: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array {
  const said = JSON.stringify([agent, toHex(previousKey), toHex(publicKey)]);
  return new TextEncoder().encode(`driftline/rotate-key/v1\n${said}`);
}
