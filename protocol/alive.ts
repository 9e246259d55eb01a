import { z } from 'zod';

/** The control plane is there: said with each ping to a host in a browser, which answers pings and does not tell its page. */
export const aliveMessageSchema = z.object({ kind: z.literal('alive') });
