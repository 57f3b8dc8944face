import { FatalError } from "../../engine/index.ts";

const OPENAI = "https://api.openai.com/v1";
/** Where `OPENAI_MODEL` says nothing. */
const DEFAULT_MODEL = "gpt-4.1-mini";

export interface ModelServer {
  baseURL: string;
  apiKey: string | undefined;
  /** What a prompt that names no model is answered by. */
  model: string;
}

/**
 * The OpenAI-compatible server that the environment names: `OPENAI_BASE_URL` (default: OpenAI's own), `OPENAI_API_KEY`
 * and `OPENAI_MODEL`. Undefined if neither of the first two is set.
 *
 * @throws FatalError `model_server` for an address that is none
 */
export function serverOf(env: Readonly<Record<string, string | undefined>>): ModelServer | undefined {
  // A variable that is set to nothing is how many tools unset one.
  const [baseURL, apiKey, model] = [env.OPENAI_BASE_URL, env.OPENAI_API_KEY, env.OPENAI_MODEL].map(
    (value) => value?.trim() || undefined,
  );
  if (baseURL === undefined && apiKey === undefined) return undefined;
  const url = URL.parse(baseURL ?? OPENAI);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new FatalError("OPENAI_BASE_URL must be an http or https address.", { code: "model_server" });
  return { baseURL: url.href.replace(/\/+$/, ""), apiKey, model: model ?? DEFAULT_MODEL };
}
