import { afterAll, beforeAll, describe } from 'vitest';
import { MAX_INFER_BODY_BYTES } from '../../../protocol/limits.ts';
import { type OipEngine, startOipEngine } from '../../support/oip-engine.ts';
import { identityModel } from '../../support/onnx-builder.ts';
import { describeBinary } from './binary.ts';
import type { Target } from './client.ts';
import { describeEndpoints, describeTritonExtensions } from './endpoints.ts';
import { describeFraming } from './framing.ts';
import { describeJson } from './json.ts';
import { TEST_MODELS } from './models.ts';

/**
 * What an Open Inference Protocol v2 server over REST must do. Run against the engine of this project, or against any
 * server that serves the models of `models.ts`: OIP_URL=http://host:port [OIP_MAX_BODY_BYTES=n].
 */
const url = process.env.OIP_URL;
let engine: OipEngine | null = null;
let target: Target | null = null;

beforeAll(async () => {
  if (url !== undefined) {
    const maxBodyBytes = Number(process.env.OIP_MAX_BODY_BYTES ?? MAX_INFER_BODY_BYTES);
    target = { url, maxBodyBytes };
    return;
  }
  const models = Object.fromEntries(
    Object.entries(TEST_MODELS).map(([name, inputs]) => [name, identityModel(inputs)]),
  );
  engine = await startOipEngine(models, MAX_INFER_BODY_BYTES);
  target = engine;
});

afterAll(() => engine?.stop());

function current(): Target {
  if (target === null) throw new Error('no server under test');
  return target;
}

describe(`Open Inference Protocol v2 at ${url ?? 'an engine of this project'}`, () => {
  describeEndpoints(current);
  describeJson(current);
  describeBinary(current);
  describeFraming(current);
  describeTritonExtensions(current);
});
