/** Where artifacts come from. */
export interface Source {
  /** Base URL of the control plane, http or https. */
  readonly url: string;
  readonly token: string;
}
