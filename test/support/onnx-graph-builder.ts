/** Writes small ONNX files (onnx/onnx.proto, IR 8), so that tests can have any graph without Python. */

const FLOAT = 1;
const INT64 = 7;
const STRING = 8;
const DOUBLE = 11;

export type ElementType = 'float' | 'int64' | 'string' | 'double';
const ELEMENT: Readonly<Record<ElementType, number>> = {
  float: FLOAT,
  int64: INT64,
  string: STRING,
  double: DOUBLE,
};

class Writer {
  readonly #parts: Buffer[] = [];

  varint(value: number | bigint): this {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  integer(field: number, value: number | bigint): this {
    return this.varint(field * 8).varint(value);
  }

  bytes(field: number, value: Uint8Array | string): this {
    const data = Buffer.from(value);
    this.varint(field * 8 + 2).varint(data.length);
    this.#parts.push(data);
    return this;
  }

  float(field: number, value: number): this {
    const data = Buffer.alloc(4);
    data.writeFloatLE(value);
    this.varint(field * 8 + 5);
    this.#parts.push(data);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export interface PortSpec {
  readonly name: string;
  readonly type: ElementType;
  /** A text is a free dimension. */
  readonly shape: readonly (number | string)[];
}

export interface ConstantSpec {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: ArrayLike<number>;
  readonly type?: 'float' | 'int64';
}

export type AttributeValue =
  | { readonly f: number }
  | { readonly i: number }
  | { readonly s: string }
  | { readonly floats: ArrayLike<number> }
  | { readonly ints: ArrayLike<number> }
  | { readonly strings: readonly string[] };

export interface NodeSpec {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

export interface GraphSpec {
  readonly inputs: readonly PortSpec[];
  readonly outputs: readonly PortSpec[];
  readonly nodes: readonly NodeSpec[];
  readonly constants?: readonly ConstantSpec[];
}

export function buildModel(graph: GraphSpec): Uint8Array {
  const body = new Writer();
  for (const node of graph.nodes) body.bytes(1, nodeBytes(node));
  body.bytes(2, 'test');
  for (const constant of graph.constants ?? []) body.bytes(5, tensorBytes(constant));
  for (const port of graph.inputs) body.bytes(11, portBytes(port));
  for (const port of graph.outputs) body.bytes(12, portBytes(port));
  return new Writer()
    .integer(1, 8)
    .bytes(7, body.finish())
    .bytes(8, new Writer().bytes(1, '').integer(2, 17).finish())
    .bytes(8, new Writer().bytes(1, 'ai.onnx.ml').integer(2, 3).finish())
    .finish();
}

function portBytes({ name, type, shape }: PortSpec): Buffer {
  const dims = new Writer();
  for (const dim of shape) {
    const one = new Writer();
    if (typeof dim === 'number') one.integer(1, dim);
    else one.bytes(2, dim);
    dims.bytes(1, one.finish());
  }
  const tensor = new Writer().integer(1, ELEMENT[type]).bytes(2, dims.finish());
  return new Writer()
    .bytes(1, name)
    .bytes(2, new Writer().bytes(1, tensor.finish()).finish())
    .finish();
}

function tensorBytes({ name, dims, values, type = 'float' }: ConstantSpec): Buffer {
  const writer = new Writer();
  for (const dim of dims) writer.integer(1, dim);
  writer.integer(2, ELEMENT[type]).bytes(8, name);
  const raw =
    type === 'float'
      ? Float32Array.from(values)
      : BigInt64Array.from(Array.from(values, (value) => BigInt(value)));
  return writer.bytes(9, Buffer.from(raw.buffer)).finish();
}

function nodeBytes(node: NodeSpec): Buffer {
  const writer = new Writer();
  for (const input of node.inputs) writer.bytes(1, input);
  for (const output of node.outputs) writer.bytes(2, output);
  writer.bytes(4, node.op);
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    writer.bytes(5, attributeBytes(name, value));
  }
  return writer.bytes(7, node.domain ?? '').finish();
}

function attributeBytes(name: string, value: AttributeValue): Buffer {
  const writer = new Writer().bytes(1, name);
  if ('f' in value) writer.float(2, value.f).integer(20, 1);
  else if ('i' in value) writer.integer(3, value.i).integer(20, 2);
  else if ('s' in value) writer.bytes(4, value.s).integer(20, 3);
  else if ('floats' in value) {
    for (const one of Array.from(value.floats)) writer.float(7, one);
    writer.integer(20, 6);
  } else if ('ints' in value) {
    for (const one of Array.from(value.ints)) writer.integer(8, one);
    writer.integer(20, 7);
  } else {
    for (const one of value.strings) writer.bytes(9, one);
    writer.integer(20, 8);
  }
  return writer.finish();
}
