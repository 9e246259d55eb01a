/** Just enough of protobuf's wire format and of onnx.proto (IR 10) to write small models by hand. */

export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return bytes;
}

/** A varint field. */
export function int(field: number, value: number | bigint): number[] {
  return [...varint(field * 8), ...varint(value)];
}

/** A length-delimited field: a message, a string or bytes. */
export function block(field: number, content: readonly number[] | string): number[] {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : content;
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

/** `ValueInfoProto` of a tensor; null is a symbolic dimension. */
export function valueInfo(
  name: string,
  element: number,
  shape: readonly (number | null)[],
): number[] {
  const dimensions = shape.flatMap((size) =>
    block(1, size === null ? block(2, 'N') : int(1, size)),
  );
  const tensorType = [...int(1, element), ...block(2, dimensions)];
  return [...block(1, name), ...block(2, block(1, tensorType))];
}

/** `TensorProto` whose data lie in another file. */
export function externalTensor(name: string, location = 'weights.bin'): number[] {
  const entry = [...block(1, 'location'), ...block(2, location)];
  return [...int(1, 4), ...int(2, 1), ...block(8, name), ...block(13, entry), ...int(14, 1)];
}

/** `TensorProto` of four float32 zeros, in the file. */
export function innerTensor(name: string): number[] {
  return [...int(1, 4), ...int(2, 1), ...block(8, name), ...block(9, new Array(16).fill(0))];
}

/** `NodeProto` with attributes already encoded. */
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly (readonly number[])[] = [],
): number[] {
  return [
    ...inputs.flatMap((name) => block(1, name)),
    ...outputs.flatMap((name) => block(2, name)),
    ...block(4, opType),
    ...attributes.flatMap((attribute) => block(5, attribute)),
  ];
}

/** `AttributeProto` holding a tensor (type 4) or a graph (type 5). */
export function tensorAttribute(name: string, tensor: readonly number[]): number[] {
  return [...block(1, name), ...block(5, tensor), ...int(20, 4)];
}

export function graphAttribute(name: string, graph: readonly number[]): number[] {
  return [...block(1, name), ...block(6, graph), ...int(20, 5)];
}

export interface GraphParts {
  readonly nodes?: readonly (readonly number[])[];
  readonly initializers?: readonly (readonly number[])[];
  readonly inputs?: readonly (readonly number[])[];
  readonly outputs?: readonly (readonly number[])[];
}

export function graphOf(parts: GraphParts): number[] {
  return [
    ...(parts.nodes ?? []).flatMap((each) => block(1, each)),
    ...block(2, 'g'),
    ...(parts.initializers ?? []).flatMap((each) => block(5, each)),
    ...(parts.inputs ?? []).flatMap((each) => block(11, each)),
    ...(parts.outputs ?? []).flatMap((each) => block(12, each)),
  ];
}

/** `ModelProto` with IR version 8 and the operator sets given. */
export function modelOf(
  graph: readonly number[],
  opsets: Record<string, number> = { '': 17 },
): Uint8Array {
  const imports = Object.entries(opsets).flatMap(([domain, version]) =>
    block(8, [...block(1, domain), ...int(2, version)]),
  );
  return Uint8Array.from([...int(1, 8), ...block(7, graph), ...imports]);
}
