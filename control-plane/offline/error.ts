/**
 * Why two tables can't be compared: `file` can't be read, `format` it is not what it has to be, `options` that are not
 * possible. The message names the file, the place, what is there and what to do.
 */
export type DriftInputErrorKind = 'file' | 'format' | 'options';

export class DriftInputError extends Error {
  override readonly name = 'DriftInputError';
  readonly kind: DriftInputErrorKind;

  constructor(kind: DriftInputErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
