/**
 * The integer version of the wire between agent and control plane.
 *
 * History
 * 1  challenge, hello, welcome, desired, report, telemetry, event, ack, refused
 */
export const PROTOCOL_VERSION = 1;

/** The oldest version this build still speaks. */
export const MIN_PROTOCOL_VERSION = 1;
