import type { Digest } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import { describeBreach, describeOutcome, type Trip } from '../../protocol/trip.ts';
import { record } from '../audit/record.ts';
import { type Severity, worse } from '../decide/stream-state.ts';
import { findAgent } from '../store/agents.ts';
import {
  type AlertRow,
  escalateAlert,
  openAlert,
  openAlerts,
  openAlertsOfKind,
  resolveAlert,
  setDetail,
} from '../store/alerts.ts';
import type { Reader, Store, Transaction } from '../store/database.ts';
import { type DeploymentRow, findDeployment } from '../store/deployments.ts';
import { type GuardTripRow, isTakenBack, tripsOf } from '../store/guard-trips.ts';
import { findVersion } from '../store/models.ts';

const KIND = 'guard-tripped' as const;
/** Trips that are read to say how many hosts there are; more are the same trouble. */
const READ_TRIPS = 500;
/** Trips that stand in the evidence. `driftline guard` shows more. */
const SHOWN_TRIPS = 5;

/** Trips that were not known before, and the report that brought them. */
export interface ToldTrips {
  readonly report: ReportMessage;
  readonly trips: readonly Trip[];
}

export interface GuardAlertsDeps {
  readonly store: Store;
  readonly now: () => number;
  readonly onFailure: (where: string, error: unknown) => void;
}

interface Wanted {
  readonly row: DeploymentRow;
  readonly stable: Version;
  readonly pinned: readonly Version[];
}

interface Version {
  readonly manifest: Digest;
  readonly version: number;
}

/**
 * One alert for each version of a deployment that guards took back outside of a rollout:
 *
 *     trip, first heard of ──▶ open ── another host's ──▶ evidence grows ── worse ──▶ told again
 *                                └── no host keeps it out any more, or it is wanted no more ──▶ resolved
 *
 * A candidate's trips are its rollout's to tell. What stood in for a version and was taken back as well is that version's.
 */
export class GuardAlerts {
  readonly #deps: GuardAlertsDeps;
  /** False: none is open, so that there is nothing to look at. */
  #mayBeOpen = true;

  constructor(deps: GuardAlertsDeps) {
    this.#deps = deps;
  }

  /** In the transaction that has put reports and trips into the database. */
  async take(tx: Transaction, told: readonly ToldTrips[], now: number): Promise<void> {
    const fresh = new Map<string, readonly [Wanted, Version]>();
    // Once each: a bad version is taken back by a whole fleet at once.
    const known = new Map<string, Wanted | null>();
    for (const { report, trips } of told) {
      for (const trip of trips) {
        const before = known.get(trip.deployment);
        const wanted = before === undefined ? await wantedOf(tx, trip.deployment) : before;
        known.set(trip.deployment, wanted);
        const about = wanted === null ? null : aboutOf(wanted, report, trip);
        if (wanted === null || about === null) continue;
        fresh.set(`${trip.deployment} ${about.manifest}`, [wanted, about]);
      }
    }
    for (const [wanted, about] of fresh.values()) {
      this.#mayBeOpen = true;
      await raise(tx, wanted, about, now);
    }
    await this.#settle(tx, now);
  }

  /** Something was decided anew, or a host is out of service: what is over is resolved. */
  look(): void {
    if (!this.#mayBeOpen) return;
    const { store, now, onFailure } = this.#deps;
    store
      .write((tx) => this.#settle(tx, now()))
      .catch((error: unknown) => onFailure('guard alerts', error));
  }

  async #settle(tx: Transaction, now: number): Promise<void> {
    if (!this.#mayBeOpen) return;
    const open = await openAlertsOfKind(tx, KIND);
    for (const alert of open) await closeIfOver(tx, alert, now);
    // Also where all are closed now: if this transaction fails, they are open still.
    this.#mayBeOpen = open.length > 0;
  }
}

async function wantedOf(db: Reader, name: string): Promise<Wanted | null> {
  const row = await findDeployment(db, name);
  const stable = row === null ? null : await findVersion(db, row.model, row.version);
  if (row === null || stable === null) return null;
  const pinned: Version[] = [];
  for (const number of row.pinned) {
    const version = await findVersion(db, row.model, number);
    if (version !== null) pinned.push(version);
  }
  return { row, stable, pinned };
}

function namedBy({ stable, pinned }: Wanted, manifest: Digest): Version | undefined {
  return [stable, ...pinned].find((version) => version.manifest === manifest);
}

/** Which version an alert is about, or null: the host has been given the version anew, or it is wanted no more. */
function aboutOf(wanted: Wanted, report: ReportMessage, trip: Trip): Version | null {
  const { row, stable } = wanted;
  if (trip.arm === 'candidate') return null;
  const arms = report.deployments.find(({ name }) => name === row.name)?.arms ?? [];
  const isOut = ({ manifest }: Version) =>
    arms.some(
      (arm) => arm.state === 'refused' && arm.code === 'guard-tripped' && arm.manifest === manifest,
    );
  const named = namedBy(wanted, trip.manifest);
  if (named === undefined) return isOut(stable) ? stable : null;
  return trip.outcome.kind === 'kept' || isOut(named) ? named : null;
}

async function raise(
  tx: Transaction,
  wanted: Wanted,
  { manifest, version }: Version,
  now: number,
): Promise<void> {
  const { name } = wanted.row;
  const detail = await evidenceOf(tx, wanted, { manifest, version });
  const about = `deployment:${name}`;
  const open = (await openAlerts(tx, name, manifest)).find(({ kind }) => kind === KIND);
  if (open === undefined) {
    const row = { deployment: name, manifest, kind: KIND, detail, openedAt: now };
    const alert = await openAlert(tx, row);
    await record(tx, now, 'system', 'alert.raised', about, { alert, kind: KIND, ...detail });
  } else if (open.detail.severity !== detail.severity) {
    const alert = await escalateAlert(tx, name, manifest, KIND, detail, now);
    await record(tx, now, 'system', 'alert.escalated', about, { alert, kind: KIND, ...detail });
  } else {
    await setDetail(tx, open.id, detail);
  }
}

async function evidenceOf(tx: Transaction, wanted: Wanted, { manifest, version }: Version) {
  const { row, stable } = wanted;
  const isAbout = ({ trip, receivedAt }: GuardTripRow) => {
    if (receivedAt < row.updatedAt || trip.arm === 'candidate') return false;
    if (trip.manifest === manifest) return true;
    const stoodIn = trip.arm === 'stable' && namedBy(wanted, trip.manifest) === undefined;
    return stoodIn && manifest === stable.manifest;
  };
  const rows = (await tripsOf(tx, row.name, READ_TRIPS)).filter(isAbout);
  const severity = rows.reduce<Severity>(
    (worst, { trip }) => worse(severityOf(trip), worst),
    'low',
  );
  const hosts = new Set(rows.map(({ agentId }) => agentId)).size;
  const trips = [];
  for (const { agentId: agent, trip } of rows.slice(0, SHOWN_TRIPS)) {
    const host = (await findAgent(tx, agent))?.name ?? agent;
    const told = `${describeBreach(trip.breach)}: ${describeOutcome(trip)}`;
    const { version: of, arm, decision, at: trippedAt } = trip;
    trips.push({ host, agent, version: of, arm, told, decision, trippedAt });
  }
  const [latest] = trips;
  const who = hosts === 1 ? 'a host' : `${hosts} hosts`;
  const reason = `version ${version} was taken back by ${who}, last by ${latest?.host}: ${latest?.told}`;
  return { version, severity, reason, hosts, trips };
}

/** Worst where nothing good answers. A pinned version is asked for by name only. */
function severityOf({ arm, outcome }: Trip): Severity {
  if (arm === 'pinned') return 'low';
  return outcome.kind === 'reverted' ? 'high' : 'critical';
}

async function closeIfOver(tx: Transaction, open: AlertRow, now: number): Promise<void> {
  const { deployment, manifest } = open;
  const wanted = await wantedOf(tx, deployment);
  const isWanted = wanted !== null && namedBy(wanted, manifest) !== undefined;
  const isOut = isWanted && (await isTakenBack(tx, deployment, manifest, wanted.row.updatedAt));
  if (isOut) return;
  const reason = isWanted ? 'no host keeps it out any more' : 'another version is wanted now';
  const alert = await resolveAlert(tx, deployment, manifest, KIND, now);
  const about = `deployment:${deployment}`;
  await record(tx, now, 'system', 'alert.resolved', about, { alert, kind: KIND, reason });
}
