import type { StartedRun } from "../views.ts";

/** A document that came in parts, as clients and handlers see it. */
export interface UploadedDocument {
  id: string;
  name: string;
  type: string;
  size: number;
  sha256: string;
}

/** An upload that comes in parts. */
export interface UploadView {
  id: string;
  tenant: string;
  /** `open` until its document is stored. */
  status: "open" | "complete";
  /** How many bytes have come and are stored. */
  offset: number;
  /** How many there will be; undefined while its client has not said that. */
  length: number | undefined;
  /** As its client gave it. */
  metadata: string;
  /** When it goes, in ms: its parts, or of a complete one all that is known of it but its document. */
  expiresAt: number;
  document?: UploadedDocument;
  /** The run that was started with it. */
  run?: string;
}

/** What is known of an upload before its first byte has come. */
export interface CreateUpload {
  tenant: string;
  length: number | undefined;
  /** At most 8,192 characters. */
  metadata: string;
  /** How long it is kept after the last byte that has come, and after its end, in ms. */
  keptMs: number;
  /** How many open ones the tenant may have. */
  most: number;
  /** Makes it safe to repeat: the same key gives the same upload, for as long as that is kept. */
  key?: string | undefined;
}

/** What an upload is held for. */
export interface HoldUpload {
  /** Where its caller goes on; without one, wherever it is. */
  offset?: number | undefined;
  /** How many bytes there will be, where that was not known. */
  length?: number | undefined;
  /** As for `create`. */
  keptMs: number;
}

/** An upload in the hands of one request: nobody else writes to it meanwhile. It is to be released in any case. */
export interface HeldUpload {
  /** As it is now. */
  readonly view: UploadView;
  /** Aborted when another request goes on with it: this one is to end. */
  readonly signal: AbortSignal;
  /**
   * Puts what comes behind what there is, and counts it as it is stored, 32 MB at a time. What came before `body` throws
   * counts too.
   *
   * @param isWhole asked when all of it is stored: if that is false, none of it counts; nor does it if `body` throws
   * @throws what `body` throws; ConflictError `upload_busy` if another request has taken it, `too_many_parts`,
   *   `checksum_mismatch`; UnavailableError
   */
  append(body: AsyncIterable<Uint8Array>, isWhole?: () => boolean): Promise<void>;
  /** All of its bytes. @throws ConflictError `upload_gone` if a part of it is lost */
  content(): AsyncGenerator<Uint8Array>;
  /**
   * Notes that a document was made of it, and deletes its parts. Holds it no longer.
   *
   * @throws ConflictError `upload_busy` if another request has taken it
   */
  complete(document: UploadedDocument): Promise<void>;
  /** Lets others hold it. Idempotent. */
  release(): Promise<void>;
}

/** Documents that come in parts, and go on after a lost connection. */
export interface UploadsApi {
  /** @throws ConflictError `too_many_uploads`; `idempotency_mismatch` if its key was used for another; UnavailableError */
  create(options: CreateUpload): Promise<{ view: UploadView; created: boolean }>;
  /** @throws NotFoundError; ConflictError `upload_gone` if it was deleted or has expired; UnavailableError */
  get(tenant: string, id: string): Promise<UploadView>;
  /**
   * Takes it for one request. A request that holds it is asked to end, and has ended after a second or two; one whose process
   * has died is waited for no longer than 5 s, one that makes the document 25 s.
   *
   * @returns what holds it; of a complete one only how it is
   * @throws NotFoundError; ConflictError `upload_gone`, `upload_offset` if it is somewhere else, `upload_length` if another
   *   length was said before, `upload_busy`; UnavailableError
   */
  hold(tenant: string, id: string, options: HoldUpload): Promise<HeldUpload | UploadView>;
  /** Notes which run was started with the document of a complete one. */
  noteRun(tenant: string, id: string, run: StartedRun["id"]): Promise<void>;
  /** Ends it and deletes its parts; its document stays. @throws NotFoundError; ConflictError `upload_gone`; UnavailableError */
  delete(tenant: string, id: string): Promise<void>;
}
