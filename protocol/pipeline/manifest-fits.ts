import { ProtocolError } from '../error.ts';
import { checkWatched, compareTensors, fileOfRole, type Manifest } from '../manifest.ts';
import { deploymentsOf, type PipelinePlan } from './plan.ts';

export function isPipeline(manifest: Manifest): boolean {
  return fileOfRole(manifest, 'pipeline') !== null;
}

/** Throws `ProtocolError` 'manifest' when the manifest says something that the graph contradicts. */
export function checkManifestAgainstPipeline(manifest: Manifest, plan: PipelinePlan): void {
  for (const role of ['model', 'golden', 'profile'] as const) {
    if (fileOfRole(manifest, role) === null) continue;
    throw new ProtocolError(
      'manifest',
      `the manifest lists a ${role} file beside a pipeline, whose steps answer elsewhere`,
    );
  }
  compareTensors('input', manifest.inputs, plan.inputs);
  compareTensors('output', manifest.outputs, plan.outputs);
  const steps = deploymentsOf(plan);
  if (manifest.steps?.join() !== steps.join()) {
    throw new ProtocolError(
      'manifest',
      `the manifest's steps are ${manifest.steps?.join(', ') ?? 'not given'}; the pipeline calls ${steps.join(', ')}`,
    );
  }
  checkWatched(manifest);
}
