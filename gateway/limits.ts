/** What a client may ask of one gateway process. Sizes in bytes, times in milliseconds. */
export interface Limits {
  /** A JSON body. */
  jsonBytes: number;
  /** The JSON body of a chat completion or of embeddings, which may hold images and many texts. */
  modelRequestBytes: number;
  /** An uploaded document. */
  uploadBytes: number;
  /** Resumable uploads of one tenant that are not complete. */
  openUploads: number;
  /** How long a resumable upload is kept after the last byte that has come, and after its end. */
  uploadExpiresMs: number;
  /** How long a request with an `Idempotency-Key` is one process's before another may take it up. */
  idempotencyLeaseMs: number;
  /** How long the sender of a body may be silent. */
  bodyIdleMs: number;
  /** The longest `Prefer: wait`. */
  waitMs: number;
  /** How long a model's answer that is not streamed is waited for: less than the runtimes leave a quiet connection open. */
  completionMs: number;
  /** The pause after which a quiet event stream carries a comment. */
  heartbeatMs: number;
  /** How long a reader of events may leave what was sent to it unread. */
  stallMs: number;
  /** What may wait in a socket for its client. */
  socketBufferBytes: number;
  /** A message from a client. */
  messageBytes: number;
  /** Runs, workflows and the like that are watched over one `/v1/live` socket. */
  subscriptions: number;
  /** Signals of one socket that are not answered yet. */
  socketSignals: number;
  /** Sockets and event streams that are open at once. */
  sockets: number;
  /** The same of one key, or of one subject of tokens. */
  socketsPerKey: number;
}

export const DEFAULT_LIMITS: Limits = {
  jsonBytes: 1_048_576,
  modelRequestBytes: 8_388_608,
  uploadBytes: 1_073_741_824,
  openUploads: 100,
  uploadExpiresMs: 86_400_000,
  idempotencyLeaseMs: 10_000,
  bodyIdleMs: 15_000,
  waitMs: 60_000,
  completionMs: 100_000,
  heartbeatMs: 15_000,
  stallMs: 10_000,
  socketBufferBytes: 1_048_576,
  messageBytes: 65_536,
  subscriptions: 1_000,
  socketSignals: 16,
  sockets: 50_000,
  socketsPerKey: 20_000,
};

/** The largest message that a runtime hands to the app, which explains to the client that its own limit is lower. */
export const MAX_PAYLOAD = 131_072;

/** How often the client of a socket is pinged. It has as long to answer. */
export const PING_MS = 15_000;

/**
 * A limit as a command takes it: `uploadBytes=1048576`.
 *
 * @throws RangeError for one that is not known, or a value that is no whole number from 1 on
 */
export function parseLimit(text: string): Partial<Limits> {
  const [, name = "", value = ""] = /^(\w+)=(\d{1,15})$/.exec(text) ?? [];
  if (!Object.hasOwn(DEFAULT_LIMITS, name))
    throw new RangeError(`It takes NAME=NUMBER, with one of ${Object.keys(DEFAULT_LIMITS).join(", ")}.`);
  if (Number(value) < 1 || (name.endsWith("Ms") && Number(value) > MAX_MS))
    throw new RangeError(`${name} takes a whole number from 1 on${name.endsWith("Ms") ? ` to ${MAX_MS}` : ""}.`);
  return { [name]: Number(value) };
}

/** What a timer of a runtime can take. */
const MAX_MS = 2_147_483_647;
