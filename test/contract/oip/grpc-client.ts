import { join } from 'node:path';
import {
  type CallOptions,
  Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A gRPC server under test: where it is, and where the same server is over REST. */
export interface GrpcTarget {
  readonly address: string;
  readonly url: string;
  readonly maxBodyBytes: number;
}

const LOADED = loadSync(
  ['grpc.proto', 'health.proto'].map((file) => join(import.meta.dirname, file)),
  { keepCase: true, longs: String, enums: String, defaults: true, arrays: true, oneofs: true },
);
export const INFERENCE = LOADED['inference.GRPCInferenceService'] as ServiceDefinition;
export const HEALTH = LOADED['grpc.health.v1.Health'] as ServiceDefinition;

/** A message as proto-loader gives and takes it: names as in the file, 64-bit integers as text. */
export type Message = Readonly<Record<string, unknown>>;

export interface Contents {
  readonly bool_contents?: readonly boolean[];
  readonly int_contents?: readonly number[];
  readonly int64_contents?: readonly string[];
  readonly uint_contents?: readonly number[];
  readonly uint64_contents?: readonly string[];
  readonly fp32_contents?: readonly number[];
  readonly fp64_contents?: readonly number[];
  readonly bytes_contents?: readonly Buffer[];
}

export interface InferResponse {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: Readonly<Record<string, Message>>;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly string[];
    readonly contents: Contents | null;
  }[];
  readonly raw_output_contents: readonly Buffer[];
}

export interface Reply<T> {
  readonly error: ServiceError | null;
  readonly value: T | null;
}

/** Stock @grpc/grpc-js, with one connection of its own. */
export class GrpcClient {
  readonly #client: Client;

  constructor(address: string, options: object = {}) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** A unary call; an error is a reply too. */
  call<T = Message>(
    method: string,
    request: Message,
    options: CallOptions & { metadata?: Metadata } = {},
    begun: (call: ClientUnaryCall) => void = () => undefined,
  ): Promise<Reply<T>> {
    const { path, requestSerialize, responseDeserialize } = methodOf(method);
    const { metadata = new Metadata(), ...rest } = options;
    return new Promise((resolve) => {
      begun(
        this.#client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          rest,
          (error, value) => resolve({ error, value: (value as T | undefined) ?? null }),
        ),
      );
    });
  }

  infer(request: Message, options?: CallOptions & { metadata?: Metadata }) {
    return this.call<InferResponse>('ModelInfer', request, options);
  }

  watch(service: string): ClientReadableStream<Message> {
    const { path, requestSerialize, responseDeserialize } = methodOf('Watch');
    return this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service },
      new Metadata(),
    ) as ClientReadableStream<Message>;
  }

  stream(metadata = new Metadata(), options: CallOptions = {}) {
    const { path, requestSerialize, responseDeserialize } = methodOf('ModelStreamInfer');
    return this.#client.makeBidiStreamRequest<object, Message>(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => Message,
      metadata,
      options,
    );
  }
}

function methodOf(name: string) {
  const method = INFERENCE[name] ?? HEALTH[name];
  if (method === undefined) throw new Error(`no method ${name}`);
  return method;
}

/** The answer to a call that must succeed. */
export function replied<T>({ error, value }: Reply<T>): T {
  if (error !== null || value === null) throw error ?? new Error('no answer and no error');
  return value;
}
