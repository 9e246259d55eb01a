import type { Manifest } from '../../../protocol/manifest.ts';
import { elementCount, showShape, type TensorSpec } from '../../../protocol/tensor.ts';
import type { Tensor } from '../model/runtime.ts';
import { TensorValueError } from '../model/tensor-data.ts';
import { headerCacheOf, MAX_CACHED_HEADER_BYTES } from './header-cache.ts';
import { splitBody } from './header-length.ts';
import { type HeaderInput, type InferHeader, parseInferHeader } from './infer-header.ts';
import { OipError } from './oip-error.ts';
import { ALL_AS_BINARY, type OutputSelection } from './output-selection.ts';
import { DEFAULT_OPTIONS, type RequestOptions } from './request-options.ts';
import type { RequestParameters } from './request-parameters.ts';
import { dataFromBytes, elementBytes, stringOf } from './tensor-bytes.ts';

export interface InferRequest {
  readonly id: string | null;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: OutputSelection;
  readonly options: RequestOptions;
  /** As its transport gave them; null or absent for none. */
  readonly parameters?: RequestParameters | null;
}

/**
 * An OIP v2 inference request: JSON when `headerLength` is null, one raw tensor when it is 0, otherwise that many
 * bytes of JSON and then the tensors that it promises. Throws `OipError` 'bad_request'.
 */
export function parseInferRequest(
  body: Buffer,
  headerLength: number | null,
  manifest: Manifest,
): InferRequest {
  if (headerLength === null) return withoutBinary(parseInferHeader(body, manifest));
  if (headerLength === 0) return rawRequest(body, manifest);
  const { json, rest } = splitBody(body, headerLength);
  return withBinary(cachedHeader(json, manifest), rest);
}

function withoutBinary(header: InferHeader): InferRequest {
  const inputs = new Map<string, Tensor>();
  for (const input of header.inputs) {
    if (input.kind === 'binary') {
      throw bad(
        `input "${input.spec.name}" is binary; the request needs the header Inference-Header-Content-Length`,
      );
    }
    inputs.set(input.name, input.tensor);
  }
  const { id, outputs, options, parameters } = header;
  return { id, inputs, outputs, options, parameters };
}

function cachedHeader(json: Buffer, manifest: Manifest): InferHeader {
  if (json.length > MAX_CACHED_HEADER_BYTES) return parseInferHeader(json, manifest);
  const cache = headerCacheOf(manifest);
  const key = json.toString('latin1');
  const known = cache.get(key);
  if (known !== undefined) return known;
  const header = parseInferHeader(json, manifest);
  // Values in a header are this request's own; only shapes and names come again.
  if (header.inputs.every((input) => input.kind === 'binary')) cache.set(key, header);
  return header;
}

/** Hands out the bytes after the JSON to the inputs that were promised them, in their order. */
function withBinary(header: InferHeader, rest: Buffer): InferRequest {
  const inputs = new Map<string, Tensor>();
  let at = 0;
  for (const input of header.inputs) {
    if (input.kind === 'given') {
      inputs.set(input.name, input.tensor);
      continue;
    }
    const { spec, shape, sizeBytes } = input;
    // Compared with what is left rather than added up: a sum of sizes could leave the safe integers.
    if (sizeBytes > rest.length - at) {
      throw bad(
        `unexpected size for input "${spec.name}": ${sizeBytes} bytes announced, ${rest.length - at} left in the body`,
      );
    }
    const data = binaryData(input, rest.subarray(at, at + sizeBytes));
    inputs.set(spec.name, { datatype: spec.datatype, shape, data });
    at += sizeBytes;
  }
  if (at !== rest.length) {
    throw bad(`unexpected additional input data: ${rest.length - at} bytes after the last tensor`);
  }
  const { id, outputs, options, parameters } = header;
  return { id, inputs, outputs, options, parameters };
}

function binaryData(input: HeaderInput & { kind: 'binary' }, bytes: Buffer): Tensor['data'] {
  const { spec, count } = input;
  return checked(() => dataFromBytes(spec.datatype, count, bytes, `input "${spec.name}"`));
}

/** The whole body as the model's only input; every output comes back in binary. */
function rawRequest(body: Buffer, manifest: Manifest): InferRequest {
  if (manifest.inputs.length !== 1) {
    throw bad(
      `a raw request (Inference-Header-Content-Length: 0) needs a model with one input; this one has ${manifest.inputs.length}`,
    );
  }
  const [spec] = manifest.inputs;
  const tensor = spec.datatype === 'BYTES' ? rawString(body, spec) : rawNumbers(body, spec);
  return {
    id: null,
    inputs: new Map([[spec.name, tensor]]),
    outputs: ALL_AS_BINARY,
    options: DEFAULT_OPTIONS,
  };
}

function rawString(body: Buffer, spec: TensorSpec): Tensor {
  const shape = spec.shape.map((dimension) => (dimension === -1 ? 1 : dimension));
  if (elementCount(shape) !== 1) {
    throw bad(`a raw request is one element; input "${spec.name}" takes ${showShape(spec.shape)}`);
  }
  const text = checked(() => stringOf(body, `input "${spec.name}"`));
  return { datatype: spec.datatype, shape, data: [text] };
}

function rawNumbers(body: Buffer, spec: TensorSpec): Tensor {
  const free = spec.shape.filter((dimension) => dimension === -1).length;
  if (free > 1) {
    throw bad(
      `a raw request needs at most one variable dimension; input "${spec.name}" takes ${showShape(spec.shape)}`,
    );
  }
  const fixed = elementCount(spec.shape.filter((dimension) => dimension !== -1));
  const unit = fixed * (elementBytes(spec.datatype) ?? 0);
  const fits = free === 0 || unit === 0 ? body.length === unit : body.length % unit === 0;
  if (!fits) {
    const wanted = free === 0 ? `${unit} bytes` : `a multiple of ${unit} bytes`;
    throw bad(
      `a raw request for input "${spec.name}" ${spec.datatype}${showShape(spec.shape)} needs ${wanted}; the body has ${body.length}`,
    );
  }
  const size = unit === 0 ? 0 : body.length / unit;
  const shape = spec.shape.map((dimension) => (dimension === -1 ? size : dimension));
  const count = elementCount(shape);
  const data = checked(() => dataFromBytes(spec.datatype, count, body, `input "${spec.name}"`));
  return { datatype: spec.datatype, shape, data };
}

function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof TensorValueError) throw bad(cause.message);
    throw cause;
  }
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
