import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from "jose";

/** A set of keys, or what an issuer says of itself, has no more bytes. */
const MOST_BYTES = 262_144;
/** Keys are read again after so long, and for a token that names another one at most every half of a minute. */
const KEPT_MS = 600_000;
const COOL_DOWN_MS = 30_000;
/** After a read that failed, who asks is refused for so long without another one. */
const AFTER_FAILURE_MS = 5_000;

/** The issuer's keys could not be read: whether a token is good is not known. */
export class IssuerUnavailable extends Error {
  override readonly name = "IssuerUnavailable";
}

export interface IssuerKeysOptions {
  issuer: string;
  /** Where its keys are; undefined: where `/.well-known/openid-configuration` below the issuer says. */
  jwksUrl: string | undefined;
  /** How long one read may take. */
  timeoutMs: number;
}

/** The keys that an issuer signs with, read when they are wanted. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #found: Promise<JWTVerifyGetKey> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /** The key of a token, for `jwtVerify`. @throws IssuerUnavailable, and what jose throws for a key that is not there */
  readonly get: JWTVerifyGetKey = async (header, token) => {
    this.#found ??= this.#find();
    const found = this.#found;
    try {
      return await (await found)(header, token);
    } catch (error) {
      // Where they are is asked anew.
      if (error instanceof IssuerUnavailable && this.#found === found) this.#found = undefined;
      throw error;
    }
  };

  async #find(): Promise<JWTVerifyGetKey> {
    const url = checkUrl(this.#options.jwksUrl ?? (await this.#discover()));
    const options = { timeoutDuration: this.#options.timeoutMs, cooldownDuration: COOL_DOWN_MS, cacheMaxAge: KEPT_MS };
    return createRemoteJWKSet(url, { ...options, [customFetch]: (href, init) => this.#fetch(href, init) });
  }

  /** By OpenID Connect Discovery 1.0, section 4: it has to say that it is the one that was asked. */
  async #discover(): Promise<string> {
    const { issuer, timeoutMs } = this.#options;
    const url = checkUrl(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    const init = { method: "GET", redirect: "manual", signal: AbortSignal.timeout(timeoutMs) } as const;
    const response = await this.#fetch(url.href, init);
    const said = (await response.json().catch(() => undefined)) as { issuer?: unknown; jwks_uri?: unknown } | undefined;
    if (said?.issuer === issuer && typeof said.jwks_uri === "string") return said.jwks_uri;
    throw this.#failed(`${url.href} does not say where the keys of ${issuer} are.`);
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    if (performance.now() - this.#failedAt < AFTER_FAILURE_MS)
      throw new IssuerUnavailable(`The keys of ${this.#options.issuer} could not be read a moment ago.`);
    try {
      const response = await fetch(url, init);
      if (response.status === 200) return new Response(await textOf(response), { status: 200 });
      await response.body?.cancel();
      throw new Error(`it answered ${response.status}`);
    } catch (cause) {
      throw this.#failed(`${url} cannot be read: ${(cause as Error).message}`, cause);
    }
  }

  #failed(message: string, cause?: unknown): IssuerUnavailable {
    this.#failedAt = performance.now();
    return new IssuerUnavailable(message, { cause });
  }
}

/** Keys that come over a line that others may write to are nobody's. @throws IssuerUnavailable */
function checkUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && isSafe(url)) return url;
  throw new IssuerUnavailable(`${text} is no https URL.`);
}

/** https, or a server on this machine. */
export function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || (protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname));
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  // Leaving the loop cancels the rest of the body.
  for await (const chunk of (response.body ?? new ReadableStream()) as ReadableStream<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
