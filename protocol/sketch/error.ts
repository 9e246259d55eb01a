/**
 * Why a sketch was refused:
 * - `shape`: two sketches (or a sketch and its grid) do not describe the same cells;
 * - `value`: a number outside what a sketch can hold;
 * - `limit`: more bins, features, categories or bytes than allowed;
 * - `format`: not an encoded window, or bytes that no encoder writes;
 * - `version`: an encoded window of a format this build does not read;
 * - `truncated`: the bytes end before the window does;
 * - `checksum`: the bytes changed after they were written.
 */
export type SketchErrorKind =
  | 'shape'
  | 'value'
  | 'limit'
  | 'format'
  | 'version'
  | 'truncated'
  | 'checksum';

/** The only error that `protocol/sketch` and `protocol/statistics` throw. */
export class SketchError extends Error {
  override readonly name = 'SketchError';
  readonly kind: SketchErrorKind;

  constructor(kind: SketchErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
