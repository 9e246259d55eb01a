import { askedInputs } from '../../../protocol/feature-fit.ts';
import type { FeatureLookup } from '../../../protocol/feature-lookup.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { messageOf } from '../../error.ts';
import type { Tensor } from '../model/runtime.ts';
import { OipError } from '../serve/oip-error.ts';
import { type AssembledInputs, Assembly, type FoundRow } from './assemble.ts';
import { type RowKey, rowKeys } from './row-keys.ts';
import type { RowSource } from './row-source.ts';

/** For whom a step is done. */
export interface StepCall {
  /** On the clock of `performance.now()`; `Infinity` for none. */
  readonly deadlineMs: number;
  /** Headers of the calls made for it; null: none. */
  readonly headers: Readonly<Record<string, string>> | null;
}

/** What is fetched for one arm between its request and its model. */
export interface FeatureStep {
  /** The version as its clients see it: inputs that are looked up are replaced by the keys they are looked up by. */
  readonly asked: Manifest;
  /** Throws `OipError` 'not_ready' where this host cannot do the step at all. */
  check(): void;
  /** What the model takes, from what the request gave. Rejects with `OipError`. */
  inputs(given: ReadonlyMap<string, Tensor>, call: StepCall): Promise<AssembledInputs>;
}

/** Throws `ProtocolError` 'features' when the lookup does not fit the model. */
export function featureStep(
  manifest: Manifest,
  lookup: FeatureLookup,
  source: RowSource,
): FeatureStep {
  const asked = { ...manifest, inputs: askedInputs(manifest.inputs, lookup) };
  const assembly = new Assembly(manifest.inputs, lookup, source.question.features);
  return {
    asked,
    check() {},
    async inputs(given, { deadlineMs, headers }) {
      const keys = rowKeys(lookup, given);
      const rows = await inTime(source.find(keys, headers), keys, deadlineMs);
      return assembly.assemble(given, keys, rows);
    },
  };
}

/** A step that this host cannot do; its requests are told why. */
export function brokenStep(asked: Manifest, reason: unknown): FeatureStep {
  const refusal = new OipError('not_ready', messageOf(reason), { cause: reason });
  return {
    asked,
    check() {
      throw refusal;
    },
    inputs: () => Promise.reject(refusal),
  };
}

/** Rows may be on their way for another request, whose time is longer than this one's. */
function inTime(
  found: Promise<FoundRow[]>,
  keys: readonly RowKey[],
  deadlineMs: number,
): Promise<FoundRow[]> {
  if (deadlineMs === Number.POSITIVE_INFINITY || keys.length === 0) return found;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        reject(
          new OipError('deadline_exceeded', "the request's time was over before its features came"),
        );
      },
      Math.max(0, deadlineMs - performance.now()),
    );
    void found.then((rows) => {
      clearTimeout(timer);
      resolve(rows);
    });
  });
}
