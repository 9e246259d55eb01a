import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import type { AgentId, Digest } from '../../protocol/ids.ts';
import type { LedgerMessage } from '../../protocol/ledger.ts';
import { MAX_FRAME_BYTES, RETRY_AFTER_MS_HEADER } from '../../protocol/limits.ts';
import type { DownloadProgress } from '../../protocol/progress.ts';
import type { TelemetryMessage } from '../../protocol/telemetry.ts';
import { MonitoringReader } from '../decide/monitoring.ts';
import { VersionShapes } from '../decide/version-shapes.ts';
import { Watch } from '../decide/watch.ts';
import type { Hub } from '../http/services.ts';
import { onControlClock } from '../merge/control-clock.ts';
import { Ingest } from '../merge/ingest.ts';
import { keepWindows } from '../merge/retention.ts';
import type { Place } from '../residency/residency.ts';
import { Arrivals } from '../rollout/arrivals.ts';
import { RolloutDriver } from '../rollout/driver.ts';
import { FleetDesk } from '../rollout/fleet.ts';
import {
  DESIRED_LIFE_MS,
  type OnPublished,
  Publisher,
  type SignedDocument,
} from '../rollout/publisher.ts';
import { Roster } from '../rollout/roster.ts';
import { type AgentRow, allAgents, findAgent, inService } from '../store/agents.ts';
import { raiseGeneration } from '../store/counters.ts';
import type { Store } from '../store/database.ts';
import { latestReports } from '../store/reports.ts';
import type { Trust } from '../trust/trust.ts';
import { AddressAdmissions } from './address-admissions.ts';
import { type AdmissionPolicy, admit, OPEN_ADMISSION } from './admission.ts';
import { AdmissionBucket, type AdmissionRate, DEFAULT_ADMISSION_RATE } from './admission-bucket.ts';
import { AgentDesk, REVOKED } from './agent-desk.ts';
import { CommandDesk } from './commands.ts';
import { Departures } from './departures.ts';
import { DocumentFrames, type DocumentToSend } from './document-frames.ts';
import { DOWNLOAD_TOKEN_LIFE_MS, issueDownloadToken } from './download-token.ts';
import { GuardAlerts } from './guard-alerts.ts';
import { HostDesk } from './host-desk.ts';
import { LeaseDesk } from './lease-desk.ts';
import { Reports } from './reports.ts';
import { HELLO_TIMEOUT_MS, PING_INTERVAL_MS, Session, type SessionDeps } from './session.ts';
import { Sessions } from './sessions.ts';

/** The path of the one WebSocket. */
export const LINK_PATH = '/link';
/** Documents live for a day and are renewed from half of it on: plenty of looks in between. */
const RENEW_INTERVAL_MS = DESIRED_LIFE_MS / 48;

/** For how long documents are sent before others have their turn. */
const SEND_SLICE_MS = 20;

export interface HubDeps {
  readonly store: Store;
  readonly trust: Trust;
  /** The bytes of a stored artifact; rejects when there is none. */
  readonly readArtifact: (digest: Digest) => Promise<Uint8Array>;
  readonly log: Logger;
  /** Whom it lets in; default: whoever brings a token, of any protocol. */
  readonly admission?: AdmissionPolicy;
  /** How many links it lets in; default `DEFAULT_ADMISSION_RATE`. */
  readonly admissionRate?: AdmissionRate;
  /** By what links are counted before all share one rate; null: not at all. Default: none is. */
  readonly sourceOf?: (request: IncomingMessage) => string | null;
  /** Where this control plane is; default: nobody has said. */
  readonly jurisdiction?: Place;
  readonly now?: () => number;
  readonly helloTimeoutMs?: number;
  readonly pingIntervalMs?: number;
  /** Merged windows older than this are deleted; default `KEEP_WINDOWS_MS`. */
  readonly keepWindowsMs?: number;
}

/**
 * Links, merge, decisions and rollouts, wired together:
 *
 *     sessions ──telemetry──▶ ingest ──merged──▶ watch ──evidence──▶ rollouts ──▶ publisher
 *        ▲  └─────reports───▶ reports ─────────────────────────────────▲             │
 *        └───────────────────────────── signed documents ────────────────────────────┘
 *
 * Resolves when everything that was going on at the last stop has been taken up again.
 */
export async function createHub(deps: HubDeps): Promise<Hub> {
  const { store, trust, log } = deps;
  const key = trust.online;
  const now = deps.now ?? Date.now;
  const policy = deps.admission ?? OPEN_ADMISSION;
  const onFailure = (where: string, error: unknown) => log.error({ err: error, where }, 'failed');
  const sessions = new Sessions();
  const departures = new Departures({ store, now, onFailure });
  const connected = () => sessions.connected();
  /** What hosts said last of themselves: each says it again when it links, so a restart need not know it. */
  const ledgers = new Map<AgentId, LedgerMessage>();
  const downloads = new Map<AgentId, readonly DownloadProgress[]>();
  const shapes = new VersionShapes(store, deps.readArtifact);
  const shapeOf = (manifest: Digest) => shapes.of(manifest);

  const guardAlerts = new GuardAlerts({ store, now, onFailure });
  const roster = new Roster((agent) => publisher.inForce(agent));
  const place = deps.jurisdiction ?? null;
  const onPublished: OnPublished = ({ documents, generation, requestedAtMs }) => {
    if (requestedAtMs !== null) roster.start(generation, requestedAtMs);
    sendAll(documents).catch((error: unknown) => onFailure('documents', error));
    guardAlerts.look();
  };
  const publisher: Publisher = new Publisher(store, key, onPublished, place);
  const arrivals = new Arrivals(async (hosts) => {
    const frames = new DocumentFrames(trust);
    const documents = await publisher.arrive(now(), hosts);
    return new Map(documents.map((document) => [document.agentId, frames.ready(document)]));
  });
  const watch: Watch = new Watch({
    store,
    shapeOf,
    now,
    onEvidence: (rollout) => driver.onEvidence(rollout),
    onFailure,
  });
  const driver: RolloutDriver = new RolloutDriver({
    store,
    publisher,
    roster,
    evidence: watch,
    connected,
    now,
    onFailure,
  });
  const fleet = new FleetDesk({
    ...{ store, publisher, roster, connected, now },
    ledgerOf: (agent) => ledgers.get(agent) ?? null,
    downloadsOf: (agent) => downloads.get(agent) ?? [],
    duplicates: () => ingest.duplicates,
  });
  const ingest: Ingest = new Ingest({
    ...{ store, shapeOf, now, place },
    onMerged: (merged) => watch.note(merged),
    onRefused: ({ agentId, deployment, sequence }, { reason, detail }) =>
      log.warn({ agentId, deployment, sequence, reason, detail }, 'telemetry-refused'),
  });
  const reports = new Reports({
    ...{ store, roster, driver, fleet, guardAlerts, now },
    onHostDrift: (agent, detail) => watch.hostDrift(agent, detail),
  });
  const leases = new LeaseDesk({ key, sessions, publisher, now, onFailure });
  const commands = new CommandDesk({ store, session: (agent) => sessions.get(agent), now });
  const hosts = new HostDesk({ store, commands, jurisdiction: place, now });

  const sessionDeps: SessionDeps = {
    key,
    roots: trust.chain,
    helloTimeoutMs: deps.helloTimeoutMs ?? HELLO_TIMEOUT_MS,
    pingIntervalMs: deps.pingIntervalMs ?? PING_INTERVAL_MS,
    admit: async (nonce, hello) => {
      const admission = await admit(store, key, nonce, hello, policy, now());
      if (admission.kind === 'admitted') enlist(admission.row);
      return admission;
    },
    onJoined: (session, agent) => {
      proven(session);
      return welcome(session, agent);
    },
    onHeld: (session, agent) => {
      proven(session);
      return hold(session, agent);
    },
    onReport: (agent, report) => reports.take(agent, report),
    onTelemetry: (agent, telemetry) => ingest.add(itemOf(agent, telemetry)),
    onEvent: (agent, event) => reports.event(agent, event),
    onResult: (session, result) => commands.take(session, result),
    onLedger: (agent, ledger) => {
      ledgers.set(agent, ledger);
    },
    onProgress: (agent, progress) => {
      if (progress.downloads.length === 0) downloads.delete(agent);
      else downloads.set(agent, progress.downloads);
    },
    onClosed: (session, code) => {
      const agent = sessions.close(session);
      // One that a newer link has replaced left nobody.
      if (agent !== null && sessions.get(agent) === null) departures.note(agent);
      // An answer may have come before the end, and wait for the report that it came behind.
      void session.heard.then(() => commands.drop(session));
      if (code !== null) log.info({ agent, code }, 'link-refused');
      driver.settle();
      fleet.wake();
    },
    onFailure,
  };

  const rate = deps.admissionRate ?? DEFAULT_ADMISSION_RATE;
  const bucket = new AdmissionBucket(rate);
  const addresses = new AddressAdmissions(rate);
  /** Where links come from that have said no good hello. */
  const unproven = new WeakMap<Session, string>();

  function proven(session: Session): void {
    const source = unproven.get(session);
    if (source === undefined) return;
    unproven.delete(session);
    addresses.giveBack(source);
  }

  /** 0: let in. Else in how many ms to come back. */
  function admissionWait(source: string | null): number {
    const nowMs = performance.now();
    const waitMs = source === null ? 0 : addresses.take(source, nowMs);
    if (waitMs > 0) return waitMs;
    const commonMs = bucket.take(nowMs);
    if (commonMs > 0 && source !== null) addresses.giveBack(source);
    return commonMs;
  }

  /** In slices: while a fleet's documents leave, the first hosts answer already, and others are heard. */
  async function sendAll(documents: readonly SignedDocument[]): Promise<void> {
    const frames = new DocumentFrames(trust);
    let untilMs = performance.now() + SEND_SLICE_MS;
    for (const document of documents) {
      const { agentId, generation } = document;
      // Meanwhile another may have taken its place, which must not wait behind it.
      if (publisher.inForce(agentId).generation !== generation) continue;
      sessions.get(agentId)?.desire(generation, () => frames.of(document));
      if (performance.now() < untilMs) continue;
      await nextTurn();
      untilMs = performance.now() + SEND_SLICE_MS;
    }
  }

  /** What is in force for one host. */
  async function signedNow(agent: AgentId): Promise<DocumentToSend | null> {
    const document = await publisher.current(agent);
    const frames = new DocumentFrames(trust);
    return document === null ? null : frames.ready(document);
  }

  /** Rollouts wait for it from here on; not for one that was revoked while its hello was looked at. */
  function enlist(row: AgentRow): void {
    if (!agents.isRevoked(row.id)) roster.add(row);
  }

  async function greet(session: Session, agent: AgentId): Promise<void> {
    await session.answer({
      kind: 'welcome',
      protocol: session.protocol,
      agent,
      serverTimeMs: now(),
      downloadToken: await issueDownloadToken(key, agent, now()),
    });
  }

  async function hold(session: Session, agent: AgentId): Promise<void> {
    await session.answer({ kind: 'pending', agent });
    sessions.hold(agent, session);
    // An operator may have decided before this link was in the list.
    const row = await findAgent(store.read, agent);
    if (row !== null && row.revokedAt !== null) session.revoke(REVOKED);
    else if (row !== null && row.approvedAt !== null) {
      enlist(row);
      session.approved();
    }
  }

  async function welcome(session: Session, agent: AgentId): Promise<void> {
    // While its hello was looked at; afterwards the revocation itself ends the link.
    if (agents.isRevoked(agent)) {
      session.revoke(REVOKED);
      return;
    }
    // What it was downloading on the link before, it says again.
    downloads.delete(agent);
    const [arrived] = await Promise.all([
      arrivals.take(agent, session.held),
      greet(session, agent),
    ]);
    // It may have gone while its document was made.
    if (session.agent !== agent) return;
    sessions.join(agent, session);
    // From here on what is put in force is sent on this link; before, it was not.
    const isLatest = (arrived?.generation ?? 0) === publisher.inForce(agent).generation;
    const document = isLatest ? arrived : await signedNow(agent);
    if (document !== null) session.desire(document.generation, document.frame);
    await leases.greet(agent, session);
    fleet.wake();
  }

  await store.write((tx) => raiseGeneration(tx, now()));
  for (const row of await allAgents(store.read)) if (inService(row)) roster.add(row);
  for (const [agent, said] of await latestReports(store.read)) roster.recall(agent, said);
  await publisher.load();
  await driver.restore();
  await fleet.reconcile('start');
  const renewal = setInterval(() => {
    fleet.reconcile('renewal').catch((error: unknown) => onFailure('renewal', error));
  }, RENEW_INTERVAL_MS);
  // A host that stays linked for days must still be able to download.
  const tokens = setInterval(() => {
    for (const agent of connected()) {
      const session = sessions.get(agent);
      if (session === null) continue;
      greet(session, agent).catch((error: unknown) => onFailure('token', error));
    }
  }, DOWNLOAD_TOKEN_LIFE_MS / 2);
  const retention = keepWindows({ store, now, onFailure, keepMs: deps.keepWindowsMs });

  const server = new WebSocketServer({
    noServer: true,
    // Windows are packed already; inflating on behalf of a stranger is a gift of memory.
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
  });
  const agents = new AgentDesk({
    ...{ store, publisher, roster, sessions, commands, now },
    onLeft: () => {
      driver.settle();
      fleet.wake();
      guardAlerts.look();
    },
  });
  return {
    rollouts: driver,
    fleet,
    agents,
    commands,
    hosts,
    monitoring: new MonitoringReader(store, shapeOf),
    handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (request.url?.split('?', 1)[0] !== LINK_PATH) {
        socket.destroy();
        return;
      }
      // Reset before it was looked at: nobody will answer, and from whom it came can't be told any more.
      if (request.socket.remoteAddress === undefined) {
        socket.destroy();
        return;
      }
      const source = deps.sourceOf?.(request) ?? null;
      const waitMs = admissionWait(source);
      if (waitMs > 0) {
        turnAway(socket, Math.ceil(waitMs));
        return;
      }
      server.handleUpgrade(request, socket, head, (accepted) => {
        const session = new Session(accepted, sessionDeps);
        if (source !== null) unproven.set(session, source);
        sessions.open(session);
      });
    },
    close: async () => {
      clearInterval(renewal);
      clearInterval(tokens);
      await leases.close();
      driver.close();
      sessions.shutDown();
      server.close();
      await departures.close();
      await ingest.drain();
      await watch.idle();
      await retention.close();
    },
  };
}

/** Before a WebSocket is made of it, which would cost more than the refusal. */
function turnAway(socket: Duplex, waitMs: number): void {
  const seconds = Math.ceil(waitMs / 1000);
  socket.on('error', () => socket.destroy());
  // Whoever does not close its own end must not keep ours.
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 503 Service Unavailable\r\nRetry-After: ${seconds}\r\n${RETRY_AFTER_MS_HEADER}: ${waitMs}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  );
}

function itemOf(agentId: AgentId, telemetry: TelemetryMessage) {
  const { kind: _, clockAheadMs, ...item } = telemetry;
  return { agentId, ...item, windowStartMs: onControlClock(item, clockAheadMs) };
}
