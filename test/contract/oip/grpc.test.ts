import { afterAll, beforeAll, describe } from 'vitest';
import { type OipEngine, startOipEngine } from '../../support/oip-engine.ts';
import { identityModel } from '../../support/onnx-builder.ts';
import { GrpcClient, type GrpcTarget } from './grpc-client.ts';
import { describeGrpcEndpoints } from './grpc-endpoints.ts';
import { describeGrpcStreams } from './grpc-streams.ts';
import { describeGrpcTensors } from './grpc-tensors.ts';
import { TEST_MODELS } from './models.ts';

const MAX_BODY_BYTES = 8 * 1024 * 1024;

/**
 * What an Open Inference Protocol v2 server over gRPC must do. Run against the engine of this project, or against any
 * server that serves the models of `models.ts`: OIP_GRPC=host:port OIP_URL=http://host:port [OIP_MAX_BODY_BYTES=n].
 */
const { OIP_GRPC, OIP_URL, OIP_MAX_BODY_BYTES } = process.env;
let engine: OipEngine | null = null;
let target: GrpcTarget | null = null;
let client: GrpcClient | null = null;

beforeAll(async () => {
  if (OIP_GRPC === undefined) {
    const models = Object.fromEntries(
      Object.entries(TEST_MODELS).map(([name, inputs]) => [name, identityModel(inputs)]),
    );
    engine = await startOipEngine(models, MAX_BODY_BYTES);
    target = { address: engine.grpc, url: engine.url, maxBodyBytes: MAX_BODY_BYTES };
  } else {
    const maxBodyBytes = Number(OIP_MAX_BODY_BYTES ?? MAX_BODY_BYTES);
    target = { address: OIP_GRPC, url: OIP_URL ?? '', maxBodyBytes };
  }
  client = new GrpcClient(target.address);
});

afterAll(async () => {
  client?.close();
  await engine?.stop();
});

function current<T>(value: T | null): T {
  if (value === null) throw new Error('no server under test');
  return value;
}

describe(`Open Inference Protocol v2 over gRPC at ${OIP_GRPC ?? 'an engine of this project'}`, () => {
  const server = () => current(target);
  const peer = () => current(client);
  describeGrpcEndpoints(peer);
  describeGrpcTensors(server, peer);
  describeGrpcStreams(server, peer);
});
