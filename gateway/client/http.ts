import { ClientError } from "./errors.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Problem } from "./types.ts";

/** So many tries of a request whose answer was lost, or that the gateway cannot take just now. */
const TRIES = 6;
/** Of one try: an answer that takes longer will not come. */
const ANSWER_MS = 60_000;

export interface Ask {
  method?: string;
  body?: BodyInit | undefined;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** How often it is tried in all. */
  tries?: number;
}

/** Asks a gateway, as often as it takes. Only what may be repeated is to be asked: a POST has an `Idempotency-Key`. */
export class Http {
  readonly url: string;
  readonly #headers: Record<string, string> = {};
  readonly #fetch: typeof fetch;

  constructor(url: string, key: string | undefined, fetcher: typeof fetch) {
    this.url = url.replace(/\/+$/, "");
    if (key !== undefined) this.#headers = { Authorization: `Bearer ${key}` };
    this.#fetch = fetcher;
  }

  /** @param path asked for before each try, where it holds once @throws ClientError for an answer that is no success; the signal's reason; TypeError when the gateway cannot be reached */
  async ask(
    path: string | (() => Promise<string>),
    { method = "GET", body, headers, signal, tries = TRIES }: Ask = {},
  ): Promise<Response> {
    for (let failures = 0; ; failures += 1) {
      const given = AbortSignal.timeout(ANSWER_MS);
      let afterMs = backoffMs(failures);
      try {
        const response = await this.open(typeof path === "string" ? path : await path(), {
          ...{ method, body, headers },
          signal: signal === undefined ? given : AbortSignal.any([signal, given]),
        });
        if (response.ok || response.status === 304) return response;
        const error = await errorOf(response);
        if (!isPassing(error.status) || failures + 1 >= tries) throw error;
        afterMs = Math.max(afterMs, Number(response.headers.get("retry-after") ?? 0) * 1_000);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof ClientError || failures + 1 >= tries) throw error;
      }
      await pause(afterMs, signal);
    }
  }

  /** Asks once; the answer may be an error, and may be read for as long as it takes. */
  open(path: string, { headers, body, ...init }: Omit<Ask, "tries">): Promise<Response> {
    const call = this.#fetch;
    return call(this.url + path, {
      ...init,
      headers: { ...this.#headers, ...headers },
      ...(body === undefined ? {} : { body }),
    } as RequestInit);
  }

  async json<T>(
    path: string | (() => Promise<string>),
    { json, headers, ...ask }: Omit<Ask, "body"> & { json?: unknown } = {},
  ): Promise<T> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    return (await this.ask(path, { ...ask, body, headers: { ...type, ...headers } })).json() as Promise<T>;
  }
}

/** Another try may be answered otherwise. */
function isPassing(status: number): boolean {
  return status === 408 || status === 423 || status === 425 || status === 429 || status >= 500;
}

export async function errorOf(response: Response): Promise<ClientError> {
  const { status, statusText: title } = response;
  const text = await response.text().catch(() => "");
  try {
    return new ClientError(JSON.parse(text) as Problem);
  } catch {
    // Of a proxy between, say.
    return new ClientError({ type: `http:${status}`, title, status, detail: text.slice(0, 500) });
  }
}
