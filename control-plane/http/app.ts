import type { Logger } from 'pino';
import type { SigningKey } from '../../protocol/signing.ts';
import type { Notify } from '../notify/desk.ts';
import type { Blobs } from '../store/blobs.ts';
import type { Store } from '../store/database.ts';
import type { Trust } from '../trust/trust.ts';
import { mountAgents } from './agents.ts';
import { mountAlerts } from './alerts.ts';
import { Api } from './api.ts';
import { mountArtifacts } from './artifacts.ts';
import { mountAudit } from './audit.ts';
import { mountChannels } from './channels.ts';
import { mountDeploymentHosts } from './deployment-hosts.ts';
import { mountDeployments } from './deployments.ts';
import { mountDocs } from './docs.ts';
import { DEFAULT_MAX_DOWNLOADS, DownloadSlots } from './download-slots.ts';
import { mountHealth } from './health.ts';
import { hostCheck } from './host-check.ts';
import { mountHosts } from './hosts.ts';
import { mountMetrics } from './metrics.ts';
import { mountModels } from './models.ts';
import { mountMonitoring } from './monitoring.ts';
import { onError, onNotFound } from './problem.ts';
import { mountRollouts } from './rollouts.ts';
import { securityHeaders } from './security-headers.ts';
import type { Services } from './services.ts';
import { mountTokens } from './tokens.ts';
import { mountTrust } from './trust.ts';
import { mountTuning } from './tuning.ts';

export interface AppDeps extends Services {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly key: SigningKey;
  readonly trust: Trust;
  readonly notify: Notify;
  /** Host names, in lower case, that clients may use besides `localhost` and IP addresses. */
  readonly hostNames: ReadonlySet<string>;
  readonly log: Logger;
  readonly now: () => number;
  /** Downloads of artifacts at the same time. */
  readonly maxDownloads?: number | undefined;
  /** Aborts when the control plane stops: streams that have no end of their own end then. */
  readonly stopping: AbortSignal;
}

/** The control plane's HTTP API: `hono` to serve, `declared` to enumerate. */
export function createApp(deps: AppDeps): Api {
  const { store, now } = deps;
  const api = new Api(deps);
  api.hono.onError(onError(deps.log));
  api.hono.notFound(onNotFound);
  api.hono.use(securityHeaders);
  api.hono.use(hostCheck(deps.hostNames));
  mountHealth(api, store);
  const downloads = new DownloadSlots(deps.maxDownloads ?? DEFAULT_MAX_DOWNLOADS, Math.random);
  mountArtifacts(api, { ...deps, downloads });
  mountModels(api, deps);
  mountTrust(api, deps);
  mountDeployments(api, deps);
  mountDeploymentHosts(api, deps);
  mountRollouts(api, store, deps);
  mountTuning(api, deps);
  mountMonitoring(api, deps.monitoring, now);
  mountAlerts(api, deps);
  mountChannels(api, deps);
  mountMetrics(api, { ...deps, downloads });
  mountAgents(api, deps);
  mountHosts(api, deps.hosts);
  mountTokens(api, store, now);
  mountAudit(api, store, deps.stopping);
  mountDocs(api);
  return api;
}
