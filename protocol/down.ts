import { z } from 'zod';
import { aliveMessageSchema } from './alive.ts';
import { commandMessageSchema } from './command.ts';
import { desiredMessageSchema } from './desired.ts';
import { refusedMessageSchema } from './error.ts';
import { challengeMessageSchema, pendingMessageSchema, welcomeMessageSchema } from './hello.ts';
import { leaseMessageSchema } from './lease.ts';
import { ackMessageSchema } from './telemetry.ts';

/** Everything the control plane says to an agent. */
export const downMessageSchema = z.discriminatedUnion('kind', [
  challengeMessageSchema,
  welcomeMessageSchema,
  pendingMessageSchema,
  desiredMessageSchema,
  commandMessageSchema,
  leaseMessageSchema,
  ackMessageSchema,
  refusedMessageSchema,
  aliveMessageSchema,
]);
export type DownMessage = z.infer<typeof downMessageSchema>;
