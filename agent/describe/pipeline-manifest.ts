import type { Manifest, ManifestDraft } from '../../protocol/manifest.ts';
import { checkManifestAgainstPipeline } from '../../protocol/pipeline/manifest-fits.ts';
import { deploymentsOf, parsePipeline } from '../../protocol/pipeline/plan.ts';
import { inferManifest } from './infer-manifest.ts';

/**
 * The manifest of a pipeline. What it answers depends on deployments that are not here, so nothing is run: it has no
 * baseline and no golden rows. Throws `ProtocolError` 'pipeline' or 'manifest'.
 */
export function pipelineManifest(
  model: string,
  graph: Uint8Array,
  file: Manifest['files'][number],
  draft: ManifestDraft,
): { manifest: Manifest; warnings: string[] } {
  const plan = parsePipeline(graph);
  const { inputs, outputs } = plan;
  const { features = [] } = draft;
  const { described, warnings } = inferManifest(plan, { ...draft, features }, null);
  const manifest: Manifest = {
    schema: 1,
    model,
    files: [file],
    inputs: [...inputs],
    outputs: [...outputs],
    ...described,
    steps: deploymentsOf(plan),
  };
  checkManifestAgainstPipeline(manifest, plan);
  warnings.push(
    'a pipeline has no baseline, because its steps answer on the hosts: its own drift is not measured against one; that of its steps is, by theirs',
  );
  return { manifest, warnings };
}
