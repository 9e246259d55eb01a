import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { NodeCounts } from './runtime.ts';

/** What is read of an event of ONNX Runtime's profile (Chrome's trace format). */
const eventSchema = z.object({
  cat: z.string(),
  name: z.string(),
  args: z.object({ provider: z.string().optional() }).optional(),
});

/** Distinct nodes that ran by provider, from the profiles in a folder; a node that ran twice is counted once. */
export function countNodes(folder: string): NodeCounts {
  const seen = new Map<string, Set<string>>();
  for (const file of readdirSync(folder)) {
    const events = z.array(eventSchema).parse(JSON.parse(readFileSync(join(folder, file), 'utf8')));
    for (const { cat, name, args } of events) {
      if (cat !== 'Node' || !args?.provider || !name.endsWith('_kernel_time')) continue;
      const nodes = seen.get(args.provider) ?? new Set();
      seen.set(args.provider, nodes.add(name));
    }
  }
  return Object.fromEntries([...seen].map(([provider, nodes]) => [provider, nodes.size]));
}
