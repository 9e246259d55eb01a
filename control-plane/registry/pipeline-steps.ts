import { ControlError } from '../error.ts';
import type { Transaction } from '../store/database.ts';
import { findDeployment } from '../store/deployments.ts';
import type { VersionRow } from '../store/models.ts';

/**
 * That the deployments which a pipeline calls are there. Not that every agent of the pipeline serves them too: labels
 * and agents change later, and a step that is missing on a host is answered 503 there. Throws `ControlError`
 * 'conflict' with the names.
 */
export async function checkSteps(
  tx: Transaction,
  deployment: string,
  { model, version, document }: Pick<VersionRow, 'model' | 'version' | 'document'>,
): Promise<void> {
  const { steps = [] } = document;
  if (steps.includes(deployment)) {
    throw new ControlError(
      'conflict',
      `the pipeline ${model}@${version} calls "${deployment}" and can't be deployed as it: it would call itself`,
    );
  }
  const missing: string[] = [];
  for (const step of steps) {
    if ((await findDeployment(tx, step)) === null) missing.push(`"${step}"`);
  }
  if (missing.length > 0) {
    throw new ControlError(
      'conflict',
      `the pipeline ${model}@${version} calls deployments that are not there: ${missing.join(', ')}; deploy them first`,
    );
  }
}
