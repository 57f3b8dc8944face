import { ConflictError } from "../errors.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Partitions } from "../partitions.ts";
import type { Client } from "../redis/client.ts";
import { completeUpload } from "../scripts/complete-upload.ts";
import { createUpload } from "../scripts/create-upload.ts";
import { endUpload } from "../scripts/end-upload.ts";
import { holdUpload } from "../scripts/hold-upload.ts";
import { putPart } from "../scripts/put-part.ts";
import { releaseUpload } from "../scripts/release-upload.ts";
import { Reply } from "../scripts/script.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { idempotencyMismatch, refuseWrongType } from "./refusals.ts";

/** Which upload. */
export interface UploadName {
  tenant: string;
  id: string;
}

/** An upload as its hash holds it. Times in ms, sizes in bytes. */
export interface UploadRecord {
  state: "open" | "complete" | "gone";
  offset: number;
  /** Undefined while its client has not said it. */
  length: number | undefined;
  /** How many parts it has in the blob store. */
  parts: number;
  metadata: string;
  expiresAt: number;
  /** JSON. */
  document: string | undefined;
  run: string | undefined;
}

/** A part of an upload, as a blob. */
export interface UploadPart {
  blob: string;
  size: number;
}

/** Why an upload is taken: to write, to keep what one has, or not at all. */
type HoldMode = "take" | "keep" | "look";

/** How long the record of an upload that has ended stays, for what a request was still putting into the blob store. */
export const ENDED_MS = 60_000;

/** Uploads that come in parts. All of a tenant are in one partition, so that they can be counted. */
export class UploadStore {
  readonly #client: Client;
  readonly #partitions: Partitions;

  constructor(client: Client, partitions: Partitions) {
    this.#client = client;
    this.#partitions = partitions;
  }

  /**
   * Stores a new one.
   *
   * @param digest of what two calls for this id must agree on
   * @returns false if it was there
   * @throws ConflictError `idempotency_mismatch`, `too_many_uploads`
   */
  async create(
    which: UploadName,
    { length, metadata, digest }: { length: number | undefined; metadata: string; digest: string },
    { keptMs, most }: { keptMs: number; most: number },
  ): Promise<boolean> {
    const args = [which.id, row(which), keptMs, most, "length", length ?? "", "metadata", metadata, "digest", digest];
    const [reply, known] = (await this.#client.run(createUpload, this.#touched(which), args)) as [Reply, string?];
    refuseWrongType(reply, `upload ${which.id}`);
    if (reply === Reply.Full)
      throw new ConflictError("too_many_uploads", `There are ${most} open uploads: complete or delete one.`);
    if (reply === Reply.Already && known !== digest) throw idempotencyMismatch();
    return reply === Reply.Done;
  }

  /** What became of the wish to hold it, whether another wishes that too, and the upload; none of that if it is not there. */
  async hold(
    which: UploadName,
    mode: HoldMode,
    token: string,
    leaseMs: number,
    { offset, length }: { offset?: number | undefined; length?: number | undefined } = {},
  ): Promise<{ reply: Reply; isWanted: boolean; upload: UploadRecord } | undefined> {
    const args = [token, leaseMs, offset ?? "", length ?? "", mode];
    const told = await this.#client.run(holdUpload, [this.#key(which)], args);
    const [reply, wanted, state, at, whole, parts, metadata, expiresAt, document, run] = told as [Reply, ...unknown[]];
    refuseWrongType(reply, `upload ${which.id}`);
    if (reply === Reply.UnknownRun) return undefined;
    const upload: UploadRecord = {
      state: state as UploadRecord["state"],
      offset: Number(at),
      length: whole === "" ? undefined : Number(whole),
      parts: Number(parts),
      metadata: String(metadata),
      expiresAt: Number(expiresAt),
      document: document === "" ? undefined : String(document),
      run: run === "" ? undefined : String(run),
    };
    return { reply, isWanted: wanted === 1, upload };
  }

  /** Lets others hold it, if this token does. */
  async release(which: UploadName, token: string): Promise<void> {
    await this.#client.run(releaseUpload, [this.#key(which)], [token]);
  }

  /**
   * Counts a part, in the place of those after the first `stay`.
   *
   * @returns where the upload is then; undefined if it is not held by this token any more
   */
  async putPart(
    which: UploadName,
    token: string,
    { parts, stay, blob, size, keptMs }: UploadPart & { parts: number; stay: number; keptMs: number },
  ): Promise<{ offset: number; expiresAt: number } | undefined> {
    const keys = [this.#key(which), this.#partition(which).uploads(which.tenant)];
    const args = [token, which.id, keptMs, parts, stay, blob, size];
    const [reply, offset, expiresAt] = (await this.#client.run(putPart, keys, args)) as [Reply, number, number];
    refuseWrongType(reply, `upload ${which.id}`);
    return reply === Reply.Done || reply === Reply.Already ? { offset, expiresAt } : undefined;
  }

  /** Its parts from number `from` up to and without number `to`. */
  async parts(which: UploadName, from: number, to: number): Promise<UploadPart[]> {
    const parts: UploadPart[] = [];
    for (let at = from; at < to; at += 500) {
      const fields = Array.from({ length: Math.min(500, to - at) }, (_, i) => `part:${at + i}`);
      const found = (await this.#client.call("HMGET", this.#key(which), ...fields)) as (string | null)[];
      for (const part of found) {
        const [blob = "", size] = (part ?? "").split(" ");
        parts.push({ blob, size: Number(size) });
      }
    }
    return parts;
  }

  /** Stores the document that it has come to. False if it is not held by this token any more. */
  async complete(which: UploadName, token: string, document: string, keptMs: number): Promise<boolean> {
    const args = [which.id, row(which), keptMs, ENDED_MS, token, document, ""];
    const reply = (await this.#client.run(completeUpload, this.#touched(which), args)) as Reply;
    refuseWrongType(reply, `upload ${which.id}`);
    return reply === Reply.Done || reply === Reply.Already;
  }

  /** Stores which run was started with its document. */
  async noteRun(which: UploadName, run: string): Promise<void> {
    const args = [which.id, row(which), 0, 0, "", "", run];
    refuseWrongType(await this.#client.run(completeUpload, this.#touched(which), args), `upload ${which.id}`);
  }

  /**
   * Ends it by wish, or if it has expired.
   *
   * @returns whether it has ended, and in how many ms its record may go, or it is to be looked at again; undefined if it is
   *   not there
   */
  async end(
    which: UploadName,
    why: "wish" | "expiry",
  ): Promise<{ ended: boolean; inMs: number; state: string } | undefined> {
    const args = [which.id, row(which), why, ENDED_MS];
    const told = await this.#client.run(endUpload, this.#touched(which), args);
    const [reply, inMs, state = "gone"] = told as [Reply, number, string?];
    refuseWrongType(reply, `upload ${which.id}`);
    return reply === Reply.UnknownRun ? undefined : { ended: reply === Reply.Done, inMs, state };
  }

  /** Removes its record. */
  async forget(which: UploadName): Promise<void> {
    await this.#client.call("UNLINK", this.#key(which));
  }

  #partition({ tenant }: UploadName): PartitionKeys {
    return this.#partitions.keyed(tenant);
  }

  #key(which: UploadName): string {
    return this.#partition(which).upload(which.tenant, which.id);
  }

  #touched(which: UploadName): string[] {
    const keys = this.#partition(which);
    return [this.#key(which), keys.uploads(which.tenant), keys.timers()];
  }
}

function row({ tenant, id }: UploadName): string {
  return encodeTimerRow({ kind: "upload", tenant, id });
}
