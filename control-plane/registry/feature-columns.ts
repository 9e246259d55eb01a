import { ProtocolError } from '../../protocol/error.ts';
import { askedInputs } from '../../protocol/feature-fit.ts';
import type { Serving } from '../../protocol/serving.ts';
import { ControlError } from '../error.ts';
import type { VersionRow } from '../store/models.ts';

/**
 * That a version has the inputs which its deployment fetches columns for. Not that hosts know the feature server: that
 * is each host's own, and one that does not answers 503. Throws `ControlError` 'conflict' with what does not fit.
 */
export function checkFeatureColumns(
  { model, version, document }: Pick<VersionRow, 'model' | 'version' | 'document'>,
  serving: Serving | undefined,
): void {
  if (serving?.features === undefined) return;
  try {
    askedInputs(document.inputs, serving.features);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new ControlError('conflict', `${model}@${version}: ${cause.message}`, { cause });
  }
}
