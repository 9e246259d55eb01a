import type { TensorSpec } from '../../../../protocol/tensor.ts';
import type { modelStatistics } from '../host-statistics.ts';
import type { modelConfig } from '../model-config.ts';
import type { IndexEntry } from '../repository.ts';
import {
  NO_PARAMETERS,
  type Parameters,
  readParameter,
  readRepositoryValue,
} from './infer-parameter.ts';
import { BLOCK, ProtoReader, VARINT } from './proto-reader.ts';
import type { ProtoWriter } from './proto-writer.ts';

/** Everything of `GRPCInferenceService` besides inference; field numbers as in `test/contract/oip/grpc.proto`. */

const FIRST = 1 * 8 + BLOCK;
const SECOND = 2 * 8 + BLOCK;

/** The `{name, version}` that most requests are. */
export function readNameVersion(bytes: Buffer, what: string): readonly [string, string] {
  const reader = new ProtoReader(bytes, what);
  let name = '';
  let version = '';
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === FIRST) name = reader.text();
    else if (tag === SECOND) version = reader.text();
    else reader.skip(tag);
  }
  return [name, version];
}

/** `RepositoryIndexRequest.ready`: only versions that can answer. */
export function readIndexRequest(bytes: Buffer): boolean {
  const reader = new ProtoReader(bytes, 'RepositoryIndexRequest');
  let ready = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 2 * 8 + VARINT) ready = reader.bool();
    else reader.skip(tag);
  }
  return ready;
}

/** `RepositoryModelLoadRequest` and `...UnloadRequest`, which are alike. */
export function readRepositoryRequest(bytes: Buffer): { model: string; parameters: Parameters } {
  const reader = new ProtoReader(bytes, 'repository request');
  let model = '';
  let parameters = NO_PARAMETERS;
  let entries = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === SECOND) model = reader.text();
    else if (tag === 3 * 8 + BLOCK) {
      parameters = readParameter(parameters, reader.block(), entries, readRepositoryValue);
      entries += 1;
    } else reader.skip(tag);
  }
  return { model, parameters };
}

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

export function writeServerMetadata(writer: ProtoWriter, server: ServerMetadata): void {
  writer.text(1, server.name);
  writer.text(2, server.version);
  for (const extension of server.extensions) writer.text(3, extension);
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export function writeModelMetadata(writer: ProtoWriter, model: ModelMetadata): void {
  writer.text(1, model.name);
  for (const version of model.versions) writer.text(2, version);
  writer.text(3, model.platform);
  for (const tensor of model.inputs) writeTensorMetadata(writer, 4, tensor);
  for (const tensor of model.outputs) writeTensorMetadata(writer, 5, tensor);
}

function writeTensorMetadata(writer: ProtoWriter, field: number, tensor: TensorSpec): void {
  const mark = writer.begin(field);
  writer.text(1, tensor.name);
  writer.text(2, tensor.datatype);
  writer.packed(3, tensor.shape);
  writer.end(mark);
}

/** `DataType` of Triton's model configuration. */
const DATA_TYPE: ReadonlyMap<string, number> = new Map(
  ['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64']
    .concat('FP16', 'FP32', 'FP64', 'STRING', 'BF16')
    .map((name, at) => [`TYPE_${name}`, at + 1]),
);

type Config = ReturnType<typeof modelConfig>;

/** A `ModelConfigResponse`. */
export function writeModelConfig(writer: ProtoWriter, config: Config): void {
  const mark = writer.begin(1);
  writer.text(1, config.name);
  writer.text(2, config.platform);
  const policy = writer.begin(3);
  const specific = writer.begin(3);
  writer.packed(1, config.version_policy.specific.versions);
  writer.end(specific);
  writer.end(policy);
  writer.int64(4, config.max_batch_size);
  for (const tensor of config.input) writeTensorConfig(writer, 5, tensor, 4);
  for (const tensor of config.output) writeTensorConfig(writer, 6, tensor, 3);
  for (const group of config.instance_group) writeInstanceGroup(writer, group);
  for (const [name, { string_value }] of Object.entries(config.parameters)) {
    const entry = writer.begin(14);
    writer.text(1, name);
    const value = writer.begin(2);
    writer.text(1, string_value);
    writer.end(value);
    writer.end(entry);
  }
  writer.text(17, config.backend);
  writer.end(mark);
}

/** `ModelInstanceGroup.Kind` of Triton's model configuration. */
const GROUP_KIND: Readonly<Record<string, number>> = { KIND_GPU: 1, KIND_CPU: 2 };

function writeInstanceGroup(writer: ProtoWriter, group: Config['instance_group'][number]): void {
  const mark = writer.begin(7);
  writer.text(1, group.name);
  writer.int64(2, group.count);
  writer.int64(4, GROUP_KIND[group.kind] ?? 0);
  writer.end(mark);
}

function writeTensorConfig(
  writer: ProtoWriter,
  field: number,
  tensor: Config['input'][number],
  dimsField: number,
): void {
  const mark = writer.begin(field);
  writer.text(1, tensor.name);
  writer.int64(2, DATA_TYPE.get(tensor.data_type) ?? 0);
  writer.packed(dimsField, tensor.dims);
  writer.end(mark);
}

type Statistics = Awaited<ReturnType<typeof modelStatistics>>[number];
type Duration = Statistics['inference_stats']['success'];

/** A `ModelStatisticsResponse`. */
export function writeStatistics(writer: ProtoWriter, models: readonly Statistics[]): void {
  for (const model of models) {
    const mark = writer.begin(1);
    writer.text(1, model.name);
    writer.text(2, model.version);
    writer.int64(3, model.last_inference);
    writer.int64(4, model.inference_count);
    writer.int64(5, model.execution_count);
    writeInferStatistics(writer, model.inference_stats);
    for (const batch of model.batch_stats) {
      const entry = writer.begin(7);
      writer.int64(1, batch.batch_size);
      writeDuration(writer, 2, batch.compute_input);
      writeDuration(writer, 3, batch.compute_infer);
      writeDuration(writer, 4, batch.compute_output);
      writer.end(entry);
    }
    writer.end(mark);
  }
}

function writeInferStatistics(writer: ProtoWriter, stats: Statistics['inference_stats']): void {
  const mark = writer.begin(6);
  writeDuration(writer, 1, stats.success);
  writeDuration(writer, 2, stats.fail);
  writeDuration(writer, 3, stats.queue);
  writeDuration(writer, 4, stats.compute_input);
  writeDuration(writer, 5, stats.compute_infer);
  writeDuration(writer, 6, stats.compute_output);
  writeDuration(writer, 7, stats.cache_hit);
  writeDuration(writer, 8, stats.cache_miss);
  writer.end(mark);
}

function writeDuration(writer: ProtoWriter, field: number, { count, ns }: Duration): void {
  const mark = writer.begin(field);
  writer.int64(1, count);
  writer.int64(2, Math.max(0, ns));
  writer.end(mark);
}

/** A `RepositoryIndexResponse`. */
export function writeIndex(writer: ProtoWriter, models: readonly IndexEntry[]): void {
  for (const { name, version, state, reason } of models) {
    const mark = writer.begin(1);
    writer.text(1, name);
    writer.text(2, version);
    writer.text(3, state);
    writer.text(4, reason);
    writer.end(mark);
  }
}
