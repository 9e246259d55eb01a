/** Bounds that both sides enforce at their edge. Each is tested at the limit and one past it. */

/** One WebSocket frame. A window of 100 features is about 25 KB; a desired state of 200 deployments 40 KB. */
export const MAX_FRAME_BYTES = 1024 * 1024;

/** Of the answer 503 to a link that finds the control plane full: `Retry-After` in milliseconds, so that seconds are no waves. */
export const RETRY_AFTER_MS_HEADER = 'driftline-retry-after-ms';

/** Nobody is sent away for longer with that answer: those who were promised a place before may have gone. */
export const MAX_PROMISE_MS = 60_000;

/** One encoded window inside a telemetry message: below the frame, so that the envelope always fits. */
export const MAX_WINDOW_BYTES = 512 * 1024;

/** One artifact file. ONNX is protobuf, and protobuf stops at 2 GiB. */
export const MAX_ARTIFACT_BYTES = 2 * 1024 * 1024 * 1024 - 1;

/** A manifest is a few KB; 1 MiB leaves room for a model with thousands of named features. */
export const MAX_MANIFEST_BYTES = 1024 * 1024;

/** The index of the longest artifact, cut into the shortest chunks, is about 15 MB; the usual one is 0.2% of its file. */
export const MAX_CHUNK_INDEX_BYTES = 16 * 1024 * 1024;

/** A profile holds two sketches per feature. */
export const MAX_PROFILE_BYTES = 16 * 1024 * 1024;

/** Columns of one model that are watched. */
export const MAX_FEATURES = 4096;

/** Tensors in or out of one model. */
export const MAX_TENSORS = 256;

/** Dimensions of one tensor; ONNX Runtime itself accepts no more than this in practice. */
export const MAX_RANK = 16;

/** A stable and a candidate arm, and the pinned ones. */
export const MAX_ARMS = 8;

/** What a report names of one deployment: the arms wanted, and those that are served in their place. */
export const MAX_REPORTED_ARMS = 16;

/** Deployments one agent is asked to serve. */
export const MAX_DEPLOYMENTS_PER_AGENT = 256;

/** Versions of a deployment that stay loaded for requests that name them. Each costs every host its memory. */
export const MAX_PINNED = 6;

/** Labels an agent may carry. */
export const MAX_LABELS = 64;

/** Length of names: deployments, models, agents, labels. Long enough for any DNS-like name. */
export const MAX_NAME_LENGTH = 128;

/** Free text inside reports, events and errors. Longer text is cut, never refused: it is a diagnosis. */
export const MAX_DETAIL_LENGTH = 2000;

/** Deepest nesting of a JSON request body; Triton's bound too. */
export const MAX_JSON_DEPTH = 100;

/** Elements of one BYTES tensor of a request: each becomes a string of its own, at 0.2-0.4 microseconds. */
export const MAX_STRING_ELEMENTS = 1_000_000;

/** Default bound of an inference request body; Triton's default too. */
export const MAX_INFER_BODY_BYTES = 64 * 1024 * 1024;

/** Shortest and longest window. Shorter floods the link, longer than an hour is no longer "seconds to know". */
export const MIN_WINDOW_MS = 500;
export const MAX_WINDOW_MS = 3_600_000;

/** A clock that is off by more than ten years is a clock that was never set; what it says of windows is no use. */
export const MAX_SKEW_MS = 10 * 366 * 86_400_000;

/** Windows that one coarse window may stand for: an hour of the shortest ones of a thousand engines. */
export const MAX_WINDOWS_ADDED = 10_000_000;

/** Rows of one call of a model: beyond, a batch only delays its first caller. */
export const MAX_BATCH_ROWS = 4096;

/** Requests waiting for one deployment in one engine: some seconds of work at any rate Node can parse. */
export const MAX_QUEUE_REQUESTS = 100_000;

/** Nodes of one pipeline, and how deep they nest: each is awaited within one request. */
export const MAX_PIPELINE_NODES = 32;
export const MAX_PIPELINE_DEPTH = 8;

/** Pipelines on one way through pipelines that call pipelines. */
export const MAX_PIPELINE_LEVELS = 2;

/** A graph of 32 nodes with hundreds of tensors each. */
export const MAX_PIPELINE_BYTES = 1024 * 1024;

/** Lines of a tuning's table: 20 ways to place a model on a large host, times seven batch sizes, and room. */
export const MAX_TUNING_ROWS = 256;

/** Join keys of one feature lookup; Feast's own entities seldom have more than three. */
export const MAX_LOOKUP_ENTITIES = 8;

/** Columns that one deployment fetches by key: a row of them is an answer of some tens of KB. */
export const MAX_LOOKUP_COLUMNS = 512;

/** Rows of features that one engine keeps: at 20 columns about 1 GB, so more is a mistake. */
export const MAX_LOOKUP_CACHE_ENTRIES = 1_000_000;

/** Trips of guards in a report: those in force, and the latest of the others. */
export const MAX_REPORTED_TRIPS = 64;

/** Shortest and longest lease. A link that was cut is back within 30 s; a month offline is as good as for ever. */
export const MIN_LEASE_MS = 2_000;
export const MAX_LEASE_MS = 31 * 86_400_000;

/** Roots in a challenge: the newest of the chain. An agent that is further behind joins anew. */
export const MAX_ROOTS = 64;

/** Keys of one role, and signatures of one statement. */
export const MAX_ROLE_KEYS = 16;

/** A root of 16 keys in each role, or a release that names 64 deployments and as many labels. */
export const MAX_STATEMENT_BYTES = 32 * 1024;

/** Deployments that one release is for. */
export const MAX_RELEASE_DEPLOYMENTS = 64;

/**
 * How far above the one that it holds a generation may be. Generations begin at a clock's milliseconds, so the first is
 * far above 0; the end of the integers is 2,000 such steps away, and one document can't take an agent there.
 */
export const MAX_GENERATION_STEP = 2 ** 42;

/** How long a command may change what a host logs. A level that is forgotten fills disks. */
export const MIN_LOG_LEVEL_MS = 1_000;
export const MAX_LOG_LEVEL_MS = 86_400_000;
