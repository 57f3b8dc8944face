import { AwsV4Signer } from "aws4fetch";
import { hexDigest } from "../digest.ts";
import { MillraceError, UnavailableError } from "../errors.ts";
import { pauseMs } from "../retry.ts";
import { PREFIX_PATTERN, withDeadline } from "./objects.ts";

/** Who signs requests. */
export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

/** Where in which service. */
export interface S3Place {
  bucket: string;
  /** Under which everything is kept, without slashes around it. Default: nothing. */
  prefix?: string | undefined;
  /** Default `us-east-1`. */
  region?: string | undefined;
  /** Of another service than Amazon's, such as `https://minio.example:9000`. */
  endpoint?: string | undefined;
  /** The bucket is a part of the path, not of the host. Default: false. */
  forcePathStyle?: boolean | undefined;
  /** As they are, or as they are now: asked for before each request, so whoever gives them keeps those that are still good. */
  credentials: S3Credentials | (() => Promise<S3Credentials>);
  /** For how long one request may go on, in ms, before it is made again. Default 30,000. */
  timeoutMs?: number | undefined;
}

export interface S3Request {
  method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Of the object, with the prefix; none for the bucket itself. */
  path?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
  /** What counts as an answer beside 200 to 299. */
  also?: readonly number[];
}

const TRIES = 3;
const RETRY_FROM_MS = 100;
const RETRY_TO_MS = 2_000;
const PASSING = new Set([408, 429, 500, 502, 503, 504]);
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Signed requests to one bucket. Each is made again if it fails for a reason that may pass, so each is one that may be made twice. */
export class S3Client {
  readonly timeoutMs: number;
  readonly #place: S3Place;
  readonly #base: string;
  readonly #prefix: string;
  /** Of signing keys, which are good for a day. */
  readonly #cache = new Map<string, ArrayBuffer>();

  constructor(place: S3Place) {
    const { bucket, prefix = "", region = "us-east-1", endpoint, forcePathStyle = false, timeoutMs = 30_000 } = place;
    if (!BUCKET.test(bucket)) throw bad(`${JSON.stringify(bucket)} is not a bucket's name.`);
    if (!PREFIX_PATTERN.test(prefix)) throw bad("A prefix is parts of A-Z a-z 0-9 _ . - with slashes between them.");
    const url = endpointOf(endpoint ?? `https://s3.${region}.amazonaws.com`);
    if (!forcePathStyle) url.hostname = `${bucket}.${url.hostname}`;
    this.#place = place;
    this.#base = `${url.origin}${url.pathname.replace(/\/$/, "")}${forcePathStyle ? `/${bucket}` : ""}`;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.timeoutMs = timeoutMs;
  }

  /** The key of an object in the bucket. */
  keyOf(path: string): string {
    return `${this.#prefix}${path}`;
  }

  /**
   * The answer to a request, with its body unread: the caller reads or cancels it.
   *
   * @throws UnavailableError if there is none in time, or one of the service's own failures; MillraceError `blobs_refused`
   *   for any other status that is not asked for
   */
  async request(asked: S3Request): Promise<Response> {
    for (let tried = 1; ; tried++) {
      const { response, failure } = await this.#try(asked);
      if (response !== undefined) return response;
      if (tried === TRIES || !(failure instanceof UnavailableError)) throw failure;
      await new Promise((resolve) => setTimeout(resolve, pauseMs(tried, RETRY_FROM_MS, RETRY_TO_MS)));
    }
  }

  /** As `request`, for an answer that is a short text. */
  async text(asked: S3Request): Promise<string> {
    for (let tried = 1; ; tried++) {
      const response = await this.request(asked);
      try {
        const { body } = response;
        return body === null ? "" : await new Response(withDeadline(body, this.timeoutMs, unavailable)).text();
      } catch (cause) {
        if (tried === TRIES) throw unavailable(cause);
      }
    }
  }

  /** As `request`, for an answer of which nothing but its head is of interest. */
  async head(asked: S3Request): Promise<Response> {
    const response = await this.request(asked);
    await response.body?.cancel();
    return response;
  }

  /** A URL by which one may PUT an object of this size until it expires. */
  async presign(path: string, size: number, expiresInMs: number): Promise<{ url: string; signedAtMs: number }> {
    const url = new URL(this.#urlOf({ method: "PUT", path }));
    url.searchParams.set("X-Amz-Expires", String(Math.floor(expiresInMs / 1_000)));
    const signedAtMs = Date.now();
    // With its length among what is signed, no other length is taken.
    const headers = { "Content-Length": String(size) };
    const signed = await this.#sign({ method: "PUT", url: url.href, headers, signQuery: true, allHeaders: true });
    return { url: signed.url.href, signedAtMs };
  }

  async #try(asked: S3Request): Promise<Tried> {
    const { method, headers = {}, body, also = [] } = asked;
    const digest = await hexDigest("SHA-256", body ?? "");
    const all = { ...headers, "X-Amz-Content-Sha256": digest };
    const signed = await this.#sign({ method, url: this.#urlOf(asked), headers: all });
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`No answer within ${this.timeoutMs} ms.`)), this.timeoutMs);
    try {
      const response = await fetch(signed.url, {
        ...{ method, headers: signed.headers, signal: late.signal, redirect: "manual" },
        ...(body === undefined ? {} : { body }),
      });
      if (response.ok || also.includes(response.status)) return { response };
      const said = (await response.text()).slice(0, 10_000);
      const what = `${response.status} ${textOf(said, "Code") ?? ""}`.trim();
      if (PASSING.has(response.status)) return { failure: unavailable(new Error(what)) };
      const detail = textOf(said, "Message") ?? "";
      const message = `The blob store refused ${method}: ${what}. ${detail}`.trim();
      return { failure: new MillraceError("blobs_refused", message) };
    } catch (cause) {
      return { failure: unavailable(cause) };
    } finally {
      clearTimeout(timer);
    }
  }

  #urlOf({ path, query = {} }: S3Request): string {
    const parameters = new URLSearchParams(query).toString();
    const key = path === undefined ? "" : this.keyOf(path);
    return `${this.#base}/${key}${parameters === "" ? "" : `?${parameters}`}`;
  }

  async #sign(request: Pick<SignerOptions, "method" | "url" | "headers" | "signQuery" | "allHeaders">) {
    const { credentials, region = "us-east-1" } = this.#place;
    const { accessKeyId, secretAccessKey, sessionToken } =
      typeof credentials === "function" ? await credentials() : credentials;
    if (this.#cache.size > 100) this.#cache.clear();
    const more = sessionToken === undefined ? {} : { sessionToken };
    const by = { accessKeyId, secretAccessKey, region, service: "s3", cache: this.#cache, ...more };
    return new AwsV4Signer({ ...request, ...by }).sign();
  }
}

type Tried = { response: Response; failure?: never } | { response?: never; failure: MillraceError };
type SignerOptions = ConstructorParameters<typeof AwsV4Signer>[0];

/** The text of the first such element. The answers of S3 are plain enough for that. */
export function textOf(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text?.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name]!);
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

export function unavailable(cause: unknown): UnavailableError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UnavailableError(`The blob store is not available: ${why}`, { cause });
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "")
    throw bad("An endpoint is a URL such as https://s3.example.com.");
  return url;
}

function bad(message: string): MillraceError {
  return new MillraceError("bad_blobs_url", message);
}
