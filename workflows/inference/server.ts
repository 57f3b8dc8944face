import { FatalError } from "../../engine/index.ts";

const OPENAI = "https://api.openai.com/v1";
/** Where `OPENAI_MODEL` and `OPENAI_EMBEDDING_MODEL` say nothing. */
const DEFAULT_MODEL = "gpt-4.1-mini";
const DEFAULT_EMBEDDING_MODEL = "text-embedding-3-small";

export interface ModelServer {
  baseURL: string;
  apiKey: string | undefined;
  /** What a prompt that names no model is answered by. */
  model: string;
  /** What texts are embedded by whose request names no model. */
  embeddingModel: string;
  /** What else it is known to have; it may be asked for others too. */
  others: readonly string[];
}

/**
 * The OpenAI-compatible server that the environment names: `OPENAI_BASE_URL` (default: OpenAI's own), `OPENAI_API_KEY`,
 * `OPENAI_MODEL`, `OPENAI_EMBEDDING_MODEL`, and `OPENAI_MODELS`, a list with commas. Undefined if neither of the first two is set.
 *
 * @throws FatalError `model_server` for an address that is none
 */
export function serverOf(env: Readonly<Record<string, string | undefined>>): ModelServer | undefined {
  // A variable that is set to nothing is how many tools unset one.
  const named = [env.OPENAI_BASE_URL, env.OPENAI_API_KEY, env.OPENAI_MODEL, env.OPENAI_EMBEDDING_MODEL];
  const [baseURL, apiKey, model, embeddingModel] = named.map((value) => value?.trim() || undefined);
  if (baseURL === undefined && apiKey === undefined) return undefined;
  const url = URL.parse(baseURL ?? OPENAI);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new FatalError("OPENAI_BASE_URL must be an http or https address.", { code: "model_server" });
  const others = (env.OPENAI_MODELS ?? "").split(",").map((name) => name.trim());
  return {
    baseURL: url.href.replace(/\/+$/, ""),
    apiKey,
    model: model ?? DEFAULT_MODEL,
    embeddingModel: embeddingModel ?? DEFAULT_EMBEDDING_MODEL,
    others: others.filter((name) => name !== ""),
  };
}
