import { missingSteps } from '../../pipeline/missing-steps.ts';
import { modelStatistics } from '../host-statistics.ts';
import { modelConfig } from '../model-config.ts';
import { EXTENSIONS, type OipServer, platformOf, SERVER_NAME } from '../oip-app.ts';
import { OipError } from '../oip-error.ts';
import { changeRepository, repositoryIndex, versionToChange } from '../repository.ts';
import { armFor, deploymentOf, type ServedArm, type ServedDeployment } from '../routing.ts';
import {
  readIndexRequest,
  readNameVersion,
  readRepositoryRequest,
  writeIndex,
  writeModelConfig,
  writeModelMetadata,
  writeServerMetadata,
  writeStatistics,
} from './model-messages.ts';
import type { ProtoWriter } from './proto-writer.ts';

/** Writes the answer to a request's message. Throws `OipError`. */
export type Method = (message: Buffer, writer: ProtoWriter) => void | Promise<void>;

const SERVICE = '/inference.GRPCInferenceService/';

/** Known to Triton's clients and not served: named, so that the refusal can say why. */
const UNSUPPORTED: readonly (readonly [name: string, why: string])[] = [
  ['SystemSharedMemoryStatus', 'shared memory is not supported; send tensors raw'],
  ['SystemSharedMemoryRegister', 'shared memory is not supported; send tensors raw'],
  ['SystemSharedMemoryUnregister', 'shared memory is not supported; send tensors raw'],
  ['CudaSharedMemoryStatus', 'shared memory is not supported; send tensors raw'],
  ['CudaSharedMemoryRegister', 'shared memory is not supported; send tensors raw'],
  ['CudaSharedMemoryUnregister', 'shared memory is not supported; send tensors raw'],
  ['TraceSetting', 'tracing is set where the agent is configured, not by its clients'],
  ['LogSettings', 'logging is set where the agent is configured, not by its clients'],
];

/** Every unary method but `ModelInfer`, by its path. */
export function createMethods(server: OipServer): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>();
  const add = (name: string, method: Method) => methods.set(SERVICE + name, method);
  add('ServerLive', (_, writer) => writer.bool(1, true));
  add('ServerReady', (_, writer) => writer.bool(1, server.ready()));
  add('ServerMetadata', (_, writer) =>
    writeServerMetadata(writer, {
      name: SERVER_NAME,
      version: server.version,
      extensions: EXTENSIONS,
    }),
  );
  addModelMethods(add, server);
  addRepositoryMethods(add, server);
  for (const [name, why] of UNSUPPORTED) {
    add(name, () => {
      throw new OipError('unknown_path', `${name}: ${why}`);
    });
  }
  return methods;
}

type Add = (name: string, method: Method) => void;

interface Found {
  readonly deployment: ServedDeployment;
  readonly version: string | null;
  readonly arm: ServedArm;
}

function addModelMethods(add: Add, server: OipServer): void {
  const find = (message: Buffer, what: string): Found => {
    const [name, asked] = readNameVersion(message, what);
    const version = asked === '' ? null : asked;
    const deployment = deploymentOf(server.state(), name);
    return { deployment, version, arm: armFor(deployment, version, 0) };
  };
  add('ModelReady', (message, writer) => {
    const [name, version] = readNameVersion(message, 'ModelReadyRequest');
    writer.bool(1, isReady(server, name, version));
  });
  add('ModelMetadata', (message, writer) => {
    const { deployment, arm } = find(message, 'ModelMetadataRequest');
    const { inputs, outputs } = arm.asked;
    const versions = deployment.arms.map((each) => String(each.version));
    const { name } = deployment;
    writeModelMetadata(writer, { name, versions, platform: platformOf(arm), inputs, outputs });
  });
  add('ModelConfig', (message, writer) => {
    const { deployment, arm } = find(message, 'ModelConfigRequest');
    writeModelConfig(writer, modelConfig(deployment, arm));
  });
  add('ModelStatistics', async (message, writer) => {
    const [name] = readNameVersion(message, 'ModelStatisticsRequest');
    const of = name === '' ? null : find(message, 'ModelStatisticsRequest');
    const models = await modelStatistics(server, of?.deployment.name ?? null, of?.version ?? null);
    writeStatistics(writer, models);
  });
}

/** As in Triton, a model that is not there is one that is not ready, and no error. */
function isReady(server: OipServer, name: string, version: string): boolean {
  const deployment = server.state().deployments.get(name);
  if (deployment === undefined || deployment.closed !== null || !server.ready()) return false;
  const arm = deployment.arms.find((each) => version === '' || String(each.version) === version);
  return arm !== undefined && missingSteps(server.state(), arm).length === 0;
}

function addRepositoryMethods(add: Add, server: OipServer): void {
  add('RepositoryIndex', (message, writer) =>
    writeIndex(writer, repositoryIndex(server.state(), readIndexRequest(message))),
  );
  for (const action of ['load', 'unload'] as const) {
    const name = action === 'load' ? 'RepositoryModelLoad' : 'RepositoryModelUnload';
    add(name, (message) => {
      const { model, parameters } = readRepositoryRequest(message);
      const version = versionToChange(Object.fromEntries(parameters));
      return changeRepository(server.host, action, model, version);
    });
  }
}
