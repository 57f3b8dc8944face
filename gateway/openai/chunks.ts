import type { RunView, WatchMessage } from "../../engine/index.ts";
import type { InferenceOutput } from "../../workflows/inference/workflow.ts";
import { ProblemError } from "../problem.ts";
import {
  type CompletionUsage,
  completionId,
  completionUsage,
  type FinishReason,
  finishReasonOf,
  secondsOf,
  toolCallOf,
} from "./completion.ts";
import { RUN_HEADER, runFailure } from "./errors.ts";

interface Delta {
  role?: "assistant";
  content?: string;
  tool_calls?: (ReturnType<typeof toolCallOf> & { index: number })[];
}

/** OpenAI's `chat.completion.chunk`. */
export interface Chunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: { index: 0; delta: Delta; logprobs: null; finish_reason: FinishReason | null }[];
  usage?: CompletionUsage | null;
}

/**
 * A run's messages as the chunks of one client's stream. What attempts before the last one have said is left out where it is
 * known by then; where it was sent already, a later attempt goes on behind it if it says the same.
 */
export class ChatChunks {
  readonly #run: string;
  readonly #model: string;
  readonly #past: number;
  readonly #includeUsage: boolean;
  /** Seconds; undefined until the first message. */
  #created: number | undefined;
  /** What the attempt at work has said. */
  #said = "";
  #sent = "";

  /** @param past the run's last event so far: up to it nothing is sent that a later attempt has said anew */
  constructor(run: string, options: { model: string; past: number; includeUsage: boolean }) {
    this.#run = run;
    this.#model = options.model;
    this.#past = options.past;
    this.#includeUsage = options.includeUsage;
  }

  /** @throws ProblemError 503 if a later attempt answers otherwise */
  take(message: WatchMessage): Chunk[] {
    const chunks: Chunk[] = [];
    if (this.#created === undefined) chunks.push(this.#begin(message));
    // What the run has said is not all there any more: its output will have it.
    if (message.type === "reset" || message.type === "step.started") this.#said = "";
    else if (message.type === "step.output") this.#said += textOf(message.data);
    if (message.seq >= this.#past) chunks.push(...this.#flush());
    return chunks;
  }

  /** @throws ProblemError as `take`, and as the run's failure is answered */
  end(run: RunView): Chunk[] {
    if (run.status !== "completed") throw runFailure(run);
    const output = run.output as InferenceOutput;
    const { text, toolCalls = [] } = output;
    this.#created ??= secondsOf(run.createdAt);
    this.#said = text;
    const chunks = this.#flush(true);
    const calls = toolCalls.map((call, index) => ({ index, ...toolCallOf(call) }));
    if (calls.length > 0) chunks.push(this.#chunk({ tool_calls: calls }));
    chunks.push(this.#chunk({}, finishReasonOf(output)));
    if (this.#includeUsage) chunks.push({ ...this.#chunk({}), choices: [], usage: completionUsage(output) });
    return chunks;
  }

  #begin(message: WatchMessage): Chunk {
    this.#created = secondsOf(message.type === "reset" ? message.snapshot.createdAt : message.at);
    return this.#chunk({ role: "assistant", content: "" });
  }

  /** @param isAll whether nothing more is to come */
  #flush(isAll = false): Chunk[] {
    // A later attempt has not come as far yet, or there is nothing new.
    if (!isAll && this.#sent.startsWith(this.#said)) return [];
    if (!this.#said.startsWith(this.#sent)) throw this.#restarted();
    const content = this.#said.slice(this.#sent.length);
    this.#sent = this.#said;
    return content === "" ? [] : [this.#chunk({ content })];
  }

  #restarted(): ProblemError {
    const detail =
      "The model was asked again, and answers otherwise than what was sent. " +
      "Ask again with the same Idempotency-Key for the whole answer of this run.";
    return new ProblemError(503, "attempt_restarted", detail, { headers: { [RUN_HEADER]: this.#run } });
  }

  #chunk(delta: Delta, finish: FinishReason | null = null): Chunk {
    return {
      id: completionId(this.#run),
      object: "chat.completion.chunk",
      created: this.#created!,
      model: this.#model,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(this.#includeUsage ? { usage: null } : {}),
    };
  }
}

function textOf(data: unknown): string {
  const { text } = (data ?? {}) as { text?: unknown };
  return typeof text === "string" ? text : "";
}
