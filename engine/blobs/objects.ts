import type { ByteRange, DirectUpload } from "./blob-store.ts";

/** Which object: `content` is the bytes of blobs, `record` what is known of one, the others see `DirectBlobs`. */
export interface ObjectKey {
  kind: "content" | "record" | "pending" | "incoming";
  tenant: string;
  /** Matches `ID_PATTERN`. */
  id: string;
}

/**
 * Which set of names. `run` has the blobs of a run, `owners` the runs of a blob that is shared, `same` who refers to
 * which content of a digest, `dying` who is removing a content, `completing` who completes an upload, `uploads` the
 * uploads of a tenant that are not complete.
 */
export interface MarkSet {
  kind: "run" | "owners" | "same" | "dying" | "completing" | "uploads";
  tenant: string;
  /** Matches `ID_PATTERN`. */
  id: string;
}

/**
 * What a service has to be able to do for blobs to be kept there. Every call has a deadline, and fails with an
 * UnavailableError if the service is not there. Reads and lists see every write and removal that has resolved, whoever
 * made it: what is shared relies on that.
 */
export interface Objects {
  /** Writes an object as its bytes come. There is none before it resolves, and what has failed leaves nothing behind. */
  write(key: ObjectKey, body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Undefined if there is no such object. `range` is within it. */
  read(key: ObjectKey, range?: ByteRange): Promise<ReadableStream<Uint8Array> | undefined>;
  /** In bytes; undefined if there is no such object. */
  size(key: ObjectKey): Promise<number | undefined>;
  /** Idempotent. */
  remove(key: ObjectKey): Promise<void>;
  /** Adds a name (`A-Z a-z 0-9 _ - .`) to a set. Idempotent. */
  mark(set: MarkSet, name: string): Promise<void>;
  /** Idempotent. */
  unmark(set: MarkSet, name: string): Promise<void>;
  /** The names in a set that start so, in order; read a page at a time. */
  marks(set: MarkSet, start?: string): AsyncGenerator<string, void, undefined>;
  /** How somebody who may do nothing else may write an object of this size until then. */
  presign?(key: ObjectKey, size: number, expiresInMs: number): Promise<Omit<DirectUpload, "id">>;
}

/** How an object, or a set, is called in a bucket. The kind comes first, so that a bucket's rules can tell it. */
export function pathOf({ kind, tenant, id }: ObjectKey | MarkSet): string {
  return `${kind}/${tenant}/${id}`;
}

/** A prefix of parts that need no encoding anywhere, and that no URL takes for something else. */
export const PREFIX_PATTERN = /^(?!.*(?:^|\/)\.\.?(?:\/|$))(?:[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*)?$/;

/** Gives up on a read of a stream that brings nothing for so long. */
export function withDeadline(
  body: ReadableStream<Uint8Array>,
  timeoutMs: number,
  failed: (cause: unknown) => Error,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error(`Nothing came for ${timeoutMs} ms.`)), timeoutMs);
        });
        try {
          const { done, value } = await Promise.race([reader.read(), late]);
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          void reader.cancel(error).catch(() => {});
          throw failed(error);
        } finally {
          clearTimeout(timer);
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
