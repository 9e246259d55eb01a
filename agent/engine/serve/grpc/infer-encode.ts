import type { Tensor } from '../../model/runtime.ts';
import type { InferRequest } from '../infer-request.ts';
import type { Provenance } from '../infer-response.ts';
import { bytesOf } from '../tensor-bytes.ts';
import { VARINT } from './proto-reader.ts';
import type { ProtoWriter } from './proto-writer.ts';
import { CONTENTS_FIELD } from './typed-contents.ts';

/**
 * Writes a `ModelInferResponse` up to its raw outputs, and returns those, views of the runtime's memory that are still
 * to be put behind it (`frameMessage`). Empty where the answer is typed, as its request was; an output of
 * FP16 or BF16 makes the whole answer raw, because they have no typed form.
 */
export function writeInferResponse(
  writer: ProtoWriter,
  request: InferRequest,
  outputs: ReadonlyMap<string, Tensor>,
  from: Provenance,
): Buffer[] {
  const selected: [string, Tensor][] = [];
  const { named } = request.outputs;
  for (const output of outputs) if (named === null || named.has(output[0])) selected.push(output);
  const raw =
    request.outputs.binary ||
    selected.some(([, { datatype }]) => CONTENTS_FIELD[datatype] === null);
  writer.text(1, from.deployment);
  writer.text(2, String(from.version));
  if (request.id !== null) writer.text(3, request.id);
  writeProvenance(writer, from);
  const tensors: Buffer[] = [];
  for (const [name, tensor] of selected) {
    const output = writer.begin(5);
    writer.text(1, name);
    writer.text(2, tensor.datatype);
    writer.packed(3, tensor.shape);
    if (raw) tensors.push(bytesOf(tensor));
    else writeContents(writer, tensor);
    writer.end(output);
  }
  return tensors;
}

function writeProvenance(writer: ProtoWriter, from: Provenance): void {
  writeParameter(writer, 'decision_id', (value) => writer.text(3, value), from.decision);
  writeParameter(writer, 'arm', (value) => writer.text(3, value), from.arm);
  writeParameter(writer, 'generation', (value) => writer.int64(2, value), from.generation);
  const { featuresDefaulted = 0 } = from;
  if (featuresDefaulted > 0) {
    writeParameter(
      writer,
      'features_defaulted',
      (value) => writer.int64(2, value),
      featuresDefaulted,
    );
  }
}

function writeParameter<T>(
  writer: ProtoWriter,
  key: string,
  write: (value: T) => void,
  value: T,
): void {
  const entry = writer.begin(4);
  writer.text(1, key);
  const parameter = writer.begin(2);
  write(value);
  writer.end(parameter);
  writer.end(entry);
}

/** An output's values in the field of its datatype; nothing for a tensor without elements. */
function writeContents(writer: ProtoWriter, { datatype, data }: Tensor): void {
  const field = CONTENTS_FIELD[datatype];
  if (field === null || data.length === 0) return;
  const [number, , wire] = field;
  const contents = writer.begin(5);
  if (Array.isArray(data)) {
    for (const text of data) writer.text(number, text);
  } else if (wire !== VARINT) {
    // FP32 and FP64 lie in memory as on the wire.
    writer.block(number, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  } else {
    const packed = writer.begin(number);
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
      const halves = new Int32Array(data.buffer, data.byteOffset, data.length * 2);
      for (let at = 0; at < halves.length; at += 2) writer.varint64(halves[at], halves[at + 1]);
    } else for (const value of data) writer.integer(value);
    writer.end(packed);
  }
  writer.end(contents);
}
