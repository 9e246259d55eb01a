/**
 * The integer version of the wire between agent and control plane.
 *
 * History
 * 1  challenge, hello, welcome, desired, report, telemetry, event, ack, refused
 * 2  serving and pinned arms in desired state; where an arm runs in reports; command, result
 * 3  monitoring in desired state; the event `concept-drift`; windows of labels, outcomes, tensors, cost and evaluators;
 *    the control plane signs its answer to a hello; pending; keys of agents that rotate; roots and releases; desired
 *    state signed in batches; `stale`; guards and leases in desired state; lease; trips and leases in reports; progress;
 *    `draining`; `withheld`; the commands drain, undrain, restart-engines, decision, diagnostics and log-level
 * 4  windows in format 4; `alive`
 */
export const PROTOCOL_VERSION = 4;

/** The oldest version this build still speaks. */
export const MIN_PROTOCOL_VERSION = 1;

/** From which version on an agent reads pinned arms: an older one would refuse the whole document. */
export const PINNED_SINCE = 2;

/** From which version on an agent reads each command: an older one would drop the link. */
export const COMMAND_SINCE = {
  tune: 2,
  'rotate-key': 3,
  drain: 3,
  undrain: 3,
  'restart-engines': 3,
  decision: 3,
  diagnostics: 3,
  'log-level': 3,
} as const;

/** From which version on an agent holds its link while it waits for approval. */
export const PENDING_SINCE = 3;

/** From which version on an agent reads documents that are signed in a batch, and what is released. */
export const BATCHES_SINCE = 3;

/** From which version on an agent reads renewals of leases: an older one would drop the link. */
export const LEASES_SINCE = 3;

/** From which version on a host in a browser is told `alive`: an older one would drop the link. */
export const ALIVE_SINCE = 4;
