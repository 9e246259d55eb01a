import type { FeatureLookup } from '../../../protocol/feature-lookup.ts';
import type { RowKey } from './row-keys.ts';

/** What is asked of the server in every call of a lookup, and in which order its rows hold it. */
export interface FeatureQuestion {
  /** As `view:feature`, each once. */
  readonly features: readonly string[];
  /** The body of a request for the features of these keys. */
  body(keys: readonly RowKey[]): string;
}

/**
 * Full feature names always: two views with a feature of one name are an error of the server otherwise. Keys are
 * written as they are, so that 64-bit integers stay exact.
 */
export function featureQuestion(lookup: FeatureLookup): FeatureQuestion {
  const { featureService, entities } = lookup;
  const features = [...new Set(lookup.columns.map(({ feature }) => feature))];
  const what =
    featureService === undefined
      ? `"features":${JSON.stringify(lookup.features ?? features)}`
      : `"feature_service":${JSON.stringify(featureService)}`;
  const head = `{${what},"full_feature_names":true,"entities":{`;
  return {
    features,
    body(keys) {
      const columns = entities.map(
        ({ name }, at) =>
          `${JSON.stringify(name)}:[${keys.map(({ literals }) => literals[at]).join()}]`,
      );
      return `${head}${columns.join()}}}`;
    },
  };
}
