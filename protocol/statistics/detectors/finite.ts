import { SketchError } from '../../sketch/error.ts';

/** @throws SketchError `value` on NaN and ±Inf: one of them would silence a running mean for ever */
export function requireFinite(x: number): void {
  if (!Number.isFinite(x)) {
    throw new SketchError('value', `${x} in a stream of errors: must be finite; leave it out`);
  }
}
