import type { Html } from './html.ts';
import type { Status } from './status.ts';

/** What a section of a report comes to, in a sentence. */
export interface Answer {
  readonly title: string;
  /** Id of the section. */
  readonly anchor: string;
  readonly status: Status;
  readonly sentence: Html;
}
