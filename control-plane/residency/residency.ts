import type { Labels } from '../../protocol/ids.ts';
import type { Jurisdiction, Residency, WithheldPart } from '../../protocol/residency.ts';

/** Everything that is asked of a deployment's policy is asked here: hosts, windows, decisions. No I/O. */

/** Where something is; null: nobody has said, which is nowhere. */
export type Place = Jurisdiction | null;

export interface Host {
  readonly labels: Labels;
  readonly jurisdiction: Place;
}

export interface Target {
  /** Labels that a host must carry; none: every host. */
  readonly to: Labels;
  readonly residency: Residency;
}

/** What a policy forbids, as code and in words. */
export interface Violation {
  readonly code: ViolationCode;
  readonly detail: string;
}
export type ViolationCode = 'host-outside' | 'control-plane-outside';

export function isWithin({ jurisdictions }: Residency, place: Place): boolean {
  return jurisdictions.length === 0 || (place !== null && jurisdictions.includes(place));
}

/** Whether a deployment goes to a host: its labels ask for it, and its jurisdictions allow it. */
export function goesTo({ to, residency }: Target, { labels, jurisdiction }: Host): boolean {
  return matchesLabels(labels, to) && isWithin(residency, jurisdiction);
}

/** Every wanted label has exactly the wanted value. No wanted labels match every host. */
export function matchesLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** Why a window of this host is not taken; null: it is. */
export function telemetryViolation(residency: Residency, host: Place): Violation | null {
  if (residency.telemetry === 'anywhere' || isWithin(residency, host)) return null;
  return outside('host-outside', 'the host', host, residency);
}

/** What hosts keep to themselves, because this control plane is not where it may be. */
export function withheldFrom(residency: Residency, controlPlane: Place): WithheldPart[] {
  return residency.outcomes === 'anywhere' || isWithin(residency, controlPlane) ? [] : ['outcomes'];
}

/**
 * Why the record of a decision is not fetched; null: it is. It leaves the host for the control plane, so that both ends of
 * its way must be within. A host elsewhere is never asked: it should have none.
 */
export function decisionViolation(
  residency: Residency,
  host: Place,
  controlPlane: Place,
): Violation | null {
  if (!isWithin(residency, host)) return outside('host-outside', 'the host', host, residency);
  if (residency.decisions === 'anywhere' || isWithin(residency, controlPlane)) return null;
  return outside('control-plane-outside', 'this control plane', controlPlane, residency);
}

function outside(code: ViolationCode, what: string, place: Place, to: Residency): Violation {
  const where = place === null ? 'in no jurisdiction that was named' : `in "${place}"`;
  const detail = `${what} is ${where}, and the deployment is restricted to ${to.jurisdictions.join(', ')}`;
  return { code, detail };
}
