import type { Lease } from '../../protocol/lease.ts';

/**
 * How long a host may still serve what it serves. Pure: `uptimeMs` is the host's time since it was booted, which nobody can
 * set; every other time is on the control plane's clock.
 *
 *     document, renewal ──▶ vouchedMs: the newest word that this document is the newest
 *                               │ a deployment does what the document says of it
 *                               ▼
 *                           heldMs[deployment] ── + its lease ──▶ when it lapses
 *
 * A renewal is worth the time at which it was signed and not that at which it came: who delays one gains nothing. Of the
 * control plane's clock the host assumes the latest that it can be, so that it errs towards a shorter lease.
 */
export interface LeaseState {
  readonly generation: number;
  readonly vouchedMs: number;
  /** By deployment: as `vouchedMs`, when it last did what the document says. */
  readonly heldMs: Readonly<Record<string, number>>;
  /** At this uptime it was at most this late at the control plane; null: not known yet. */
  readonly clock: { readonly controlMs: number; readonly uptimeMs: number } | null;
}

export const NO_LEASES: LeaseState = { generation: 0, vouchedMs: 0, heldMs: {}, clock: null };

/** A state as it is kept over a restart, with what the host's clocks said then. */
export interface KeptLeases extends LeaseState {
  readonly wallMs: number;
  readonly uptimeMs: number;
}

/** The latest that it can be at the control plane; null: not known. */
export function controlNow({ clock }: LeaseState, uptimeMs: number): number | null {
  return clock === null ? null : clock.controlMs + (uptimeMs - clock.uptimeMs);
}

/** The control plane proved its time in answer to a question of ours that was asked `agoMs` before. */
export function afterWelcome(
  state: LeaseState,
  serverTimeMs: number,
  agoMs: number,
  uptimeMs: number,
): LeaseState {
  const now = serverTimeMs + agoMs;
  // Where its clock was set back, what it signed before that would last too long: what was left is left, and no more.
  const backMs = Math.max(0, (controlNow(state, uptimeMs) ?? now) - now);
  const heldMs = Object.fromEntries(
    Object.entries(state.heldMs).map(([name, at]) => [name, at - backMs]),
  );
  const vouchedMs = state.vouchedMs - backMs;
  return { ...state, heldMs, vouchedMs, clock: { controlMs: now, uptimeMs } };
}

/**
 * A document is in force; which one may follow on which is the gate's to say. The same again changes nothing. A higher
 * generation was signed after all that was said of the one before, even where the control plane's clock was set back in
 * between; a lower one is a new key's, and what the old key vouched for says nothing of it.
 */
export function afterDocument(
  state: LeaseState,
  document: { readonly generation: number; readonly issuedAt: number },
  uptimeMs: number,
): LeaseState {
  const { generation, issuedAt } = document;
  if (generation === state.generation) return state;
  const vouchedMs = generation > state.generation ? Math.max(state.vouchedMs, issuedAt) : issuedAt;
  return { ...notBefore(state, issuedAt, uptimeMs), generation, vouchedMs };
}

/** The control plane signed that at `issuedAt` the document of `generation` was the newest. */
export function afterRenewal(
  state: LeaseState,
  renewal: { readonly generation: number; readonly issuedAt: number },
  uptimeMs: number,
): LeaseState {
  const { generation, issuedAt } = renewal;
  if (generation !== state.generation || issuedAt <= state.vouchedMs) return state;
  return { ...notBefore(state, issuedAt, uptimeMs), vouchedMs: issuedAt };
}

/** It is at least as late at the control plane as the latest time that it has signed. */
function notBefore(state: LeaseState, signedMs: number, uptimeMs: number): LeaseState {
  const now = controlNow(state, uptimeMs);
  if (now !== null && now >= signedMs) return state;
  return { ...state, clock: { controlMs: signedMs, uptimeMs } };
}

/** Which deployments have a lease. One that is new counts from the newest word there is, and then for itself. */
export function withLeases(state: LeaseState, names: readonly string[]): LeaseState {
  const { heldMs, vouchedMs } = state;
  const held = names.map((name): [string, number] => [name, heldMs[name] ?? vouchedMs]);
  return { ...state, heldMs: Object.fromEntries(held) };
}

/** These deployments do what the document says of them; one that does not lives on its older lease. */
export function afterSettling(state: LeaseState, settled: readonly string[]): LeaseState {
  const { vouchedMs, heldMs } = state;
  const held = Object.entries(heldMs).map(([name, at]): [string, number] => [
    name,
    settled.includes(name) ? vouchedMs : at,
  ]);
  return { ...state, heldMs: Object.fromEntries(held) };
}

/** When the lease of a deployment of `withLeases` lapses. */
export function lapsesAt({ heldMs }: LeaseState, name: string, lease: Lease): number {
  return (heldMs[name] ?? 0) + lease.durationMs;
}

export function keptLeases(state: LeaseState, wallMs: number, uptimeMs: number): KeptLeases {
  return { ...state, wallMs, uptimeMs };
}

/**
 * What a restart finds. Of the time in between each clock tells at least some: uptime starts over with the machine, and the
 * wall clock may have been set back, so the larger difference counts.
 */
export function restoredLeases(kept: KeptLeases, wallMs: number, uptimeMs: number): LeaseState {
  const { wallMs: wallThen, uptimeMs: uptimeThen, ...state } = kept;
  const then = controlNow(state, uptimeThen);
  if (then === null) return state;
  const elapsed = Math.max(0, wallMs - wallThen, uptimeMs - uptimeThen);
  return { ...state, clock: { controlMs: then + elapsed, uptimeMs } };
}
