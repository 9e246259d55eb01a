import type { Command } from 'commander';

/** What `deploy` and `residency` take about where a deployment, and what is known of it, may be. */
export interface ResidencyFlags {
  readonly jurisdictions?: string;
  readonly telemetry?: string;
  readonly outcomes?: string;
  readonly decisions?: string;
}

const FLAGS: readonly (readonly [flag: string, description: string])[] = [
  ['--jurisdictions <names>', 'hosts that it may be on, as eu,uk; "any": all of them'],
  [
    '--telemetry <within|anywhere>',
    'windows: of hosts within only, or also of one that was moved away (default: within)',
  ],
  [
    '--outcomes <within|anywhere>',
    'counts per group, scores, labels: to a control plane within only, or to any (default: anywhere)',
  ],
  [
    '--decisions <within|anywhere>',
    'records of single decisions: to a control plane within only, or to any (default: within)',
  ],
];

export function withResidencyFlags(command: Command): Command {
  for (const [flag, description] of FLAGS) command.option(flag, description);
  return command;
}
