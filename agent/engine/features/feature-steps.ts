import { askedInputs } from '../../../protocol/feature-fit.ts';
import type { FeatureLookup } from '../../../protocol/feature-lookup.ts';
import type { EgressCount } from '../../../protocol/ledger.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { FeatureServer } from './feature-server.ts';
import { brokenStep, type FeatureStep, featureStep } from './feature-step.ts';
import { RowSource } from './row-source.ts';

/** Where feature servers are, by the names that this host's operator gave them. */
export type FeatureServerUrls = ReadonlyMap<string, string>;

interface Lookup {
  /** The lookup as text: another one has another cache. */
  readonly text: string;
  readonly source: RowSource | null;
  readonly steps: WeakMap<Manifest, FeatureStep>;
}

/** The feature steps of all deployments. What is cached outlives a switch of plans that leaves a lookup as it is. */
export class FeatureSteps {
  readonly #servers: ReadonlyMap<string, FeatureServer>;
  #lookups = new Map<string, Lookup>();

  constructor(urls: FeatureServerUrls) {
    this.#servers = new Map(
      [...urls].map(([name, url]) => [name, new FeatureServer(name, new URL(url))]),
    );
  }

  /** The same step for the same deployment, lookup and version. */
  of(deployment: string, lookup: FeatureLookup, manifest: Manifest): FeatureStep {
    const of = this.#lookup(deployment, lookup);
    const known = of.steps.get(manifest);
    if (known !== undefined) return known;
    const made = this.#make(lookup, of.source, manifest);
    of.steps.set(manifest, made);
    return made;
  }

  #lookup(deployment: string, lookup: FeatureLookup): Lookup {
    const text = JSON.stringify(lookup);
    const known = this.#lookups.get(deployment);
    if (known?.text === text) return known;
    const server = this.#servers.get(lookup.server);
    const source = server === undefined ? null : new RowSource(server, lookup);
    const made = { text, source, steps: new WeakMap<Manifest, FeatureStep>() };
    this.#lookups.set(deployment, made);
    return made;
  }

  #make(lookup: FeatureLookup, source: RowSource | null, manifest: Manifest): FeatureStep {
    try {
      if (source !== null) return featureStep(manifest, lookup, source);
      const asked = { ...manifest, inputs: askedInputs(manifest.inputs, lookup) };
      return brokenStep(asked, this.#unknown(lookup.server));
    } catch (error) {
      return brokenStep(manifest, error);
    }
  }

  #unknown(name: string): string {
    const known = [...this.#servers.keys()].map((each) => `"${each}"`).join(', ') || 'none';
    return `this deployment fetches features from "${name}", and this host knows ${known}; start its agent with --feature-server ${name}=URL`;
  }

  /** Forgets the caches of deployments that are gone, or look nothing up any more. */
  keepOnly(deployments: ReadonlySet<string>): void {
    for (const name of this.#lookups.keys()) if (!deployments.has(name)) this.#lookups.delete(name);
  }

  /** What all servers were asked so far; null where there is none. */
  get sent(): EgressCount | null {
    if (this.#servers.size === 0) return null;
    const sum = { messages: 0, bytes: 0 };
    for (const { sent } of this.#servers.values()) {
      sum.messages += sent.messages;
      sum.bytes += sent.bytes;
    }
    return sum;
  }

  /** Closes the connections. */
  close(): void {
    for (const server of this.#servers.values()) server.close();
  }
}
