import { type Residency, residencySchema } from '../../protocol/residency.ts';
import { describe } from '../../protocol/wire.ts';
import { CliError } from './error.ts';
import type { ResidencyFlags } from './residency-flags.ts';

const PARTS = ['telemetry', 'outcomes', 'decisions'] as const;
const REACHES: readonly string[] = ['within', 'anywhere'] satisfies Residency['telemetry'][];

/** What the flags make of the policy that was set before; null where no flag is there. Throws `CliError` 'usage'. */
export function residencyFrom(flags: ResidencyFlags, present: Residency): Residency | null {
  const { jurisdictions: names } = flags;
  const parts = PARTS.flatMap((part) => {
    const value = flags[part];
    if (value === undefined) return [];
    if (REACHES.includes(value)) return [[part, value]];
    throw new CliError('usage', `--${part} is "${value}"; it must be within or anywhere`);
  });
  if (names === undefined && parts.length === 0) return null;
  const jurisdictions = names === undefined ? present.jurisdictions : namesIn(names);
  if (jurisdictions.length === 0 && parts.length > 0) {
    const told = `--${parts[0][0]} is of a deployment that is kept to jurisdictions, and this one may be anywhere: add --jurisdictions eu`;
    throw new CliError('usage', told);
  }
  const input = { ...present, ...Object.fromEntries(parts), jurisdictions };
  const parsed = residencySchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `--jurisdictions: ${describe(parsed.error, input)}`);
}

function namesIn(text: string): string[] {
  return text === 'any' ? [] : text.split(',').map((each) => each.trim());
}
