import { ClientError } from "./errors.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Problem } from "./types.ts";

/** So many tries of a request whose answer was lost, or that the gateway cannot take just now. */
const TRIES = 6;
/** Of one try: an answer that takes longer will not come. */
const ANSWER_MS = 60_000;
/** Nobody is kept waiting longer for the next try, whatever an answer says. */
const LONGEST_WAIT_MS = 60_000;

/** How requests are made: as the platform's `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Where to ask: known, or asked for before each try where it holds once. */
export type Path = string | (() => Promise<string>);

export interface Ask {
  method?: string;
  body?: RequestInit["body"] | undefined;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** How often it is tried in all. */
  tries?: number;
  /** How long the answer to one try may take. */
  answerMs?: number;
}

/** Asks a gateway, as often as it takes. Only what may be repeated is to be asked: a POST has an `Idempotency-Key`. */
export class Http {
  readonly url: string;
  readonly #headers: Record<string, string> = {};
  readonly #fetch: Fetch;

  constructor(url: string, key: string | undefined, fetcher: Fetch) {
    this.url = url.replace(/\/+$/, "");
    if (key !== undefined) this.#headers = { Authorization: `Bearer ${key}` };
    this.#fetch = fetcher;
  }

  /**
   * The headers of the answer.
   *
   * @throws ClientError for an answer that is no success; the signal's reason; TypeError when the gateway cannot be reached
   */
  async ask(path: Path, ask: Ask = {}): Promise<Headers> {
    return this.#asked(path, ask, async (response) => {
      await response.body?.cancel();
      return response.headers;
    });
  }

  /** The JSON of the answer. @throws as `ask` */
  async json<T>(path: Path, { json, headers, ...ask }: Omit<Ask, "body"> & { json?: unknown } = {}): Promise<T> {
    const body = json === undefined ? undefined : JSON.stringify(json);
    const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
    return this.#asked(path, { ...ask, body, headers: { ...type, ...headers } }, (response) => response.json());
  }

  /** Asks once; the answer may be an error, and may be read for as long as it takes. */
  open(path: string, { headers, body, method = "GET", signal }: Ask): Promise<Response> {
    const call = this.#fetch;
    return call(this.url + path, {
      ...{ method, headers: { ...this.#headers, ...headers } },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** An answer counts once it was read: what is lost of it is asked for again. */
  async #asked<T>(path: Path, ask: Ask, read: (response: Response) => Promise<T>): Promise<T> {
    const { signal, tries = TRIES, answerMs = ANSWER_MS } = ask;
    for (let failures = 0; ; failures += 1) {
      const late = AbortSignal.timeout(answerMs);
      let waitMs = backoffMs(failures);
      try {
        const response = await this.open(typeof path === "string" ? path : await path(), {
          ...ask,
          signal: signal === undefined ? late : AbortSignal.any([signal, late]),
        });
        if (response.ok) return await read(response);
        waitMs = Math.max(waitMs, retryAfterMs(response));
        throw await errorOf(response);
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error) || failures + 1 >= tries) throw error;
      }
      await pause(waitMs, signal);
    }
  }
}

/** Whether another try may fare otherwise: nothing was answered, or that it cannot be taken just now. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ClientError)) return true;
  const { status, code } = error;
  return status >= 500 || [408, 423, 425, 429].includes(status) || code === "idempotency-in-progress";
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

/** In seconds; as a date it is not looked at. */
function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  return seconds > 0 ? Math.min(seconds * 1_000, LONGEST_WAIT_MS) : 0;
}
