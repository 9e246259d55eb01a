import { z } from 'zod';
import { resultMessageSchema } from './command.ts';
import { helloMessageSchema } from './hello.ts';
import { ledgerMessageSchema } from './ledger.ts';
import { progressMessageSchema } from './progress.ts';
import { reportMessageSchema } from './report.ts';
import { eventMessageSchema, telemetryMessageSchema } from './telemetry.ts';

/** Everything an agent says to the control plane. */
export const upMessageSchema = z.discriminatedUnion('kind', [
  helloMessageSchema,
  reportMessageSchema,
  telemetryMessageSchema,
  eventMessageSchema,
  resultMessageSchema,
  ledgerMessageSchema,
  progressMessageSchema,
]);
export type UpMessage = z.infer<typeof upMessageSchema>;
