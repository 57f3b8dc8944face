import { describe, expect, test } from "vitest";
import type { RunEvent, RunView } from "../../../engine/index.ts";
import { ChatChunks, type Chunk } from "../../../gateway/openai/chunks.ts";
import type { InferenceOutput } from "../../../workflows/inference/workflow.ts";

const AT = "2026-01-02T03:04:05.678Z";
const CREATED = Date.parse("2026-01-02T03:04:05Z") / 1_000;

const event = (seq: number, type: RunEvent["type"], data?: unknown): RunEvent => ({
  ...{ seq, cursor: `${seq}-a`, run: "r-0", type, at: AT },
  ...(data === undefined ? {} : { data }),
});
const said = (seq: number, text: string) => event(seq, "step.output", { text });
const ended = (output: Partial<InferenceOutput>, more: Partial<RunView> = {}): RunView => ({
  ...{ id: "r-0", workflow: "inference", version: 1, status: "completed", input: {}, seq: 9, steps: {}, createdAt: AT },
  output: { text: "", model: "m", usage: { inputTokens: 2, outputTokens: 3 }, finishReason: "stop", ...output },
  ...more,
});
const chunksOf = (past = 0, includeUsage = false) => new ChatChunks("r-0", { model: "m", past, includeUsage });
const texts = (chunks: Chunk[]) => chunks.flatMap(({ choices }) => choices[0]?.delta.content || []);

describe("the chunks of a run", () => {
  test("say who speaks, what is said as it is said, and why it ended", () => {
    const chunks = chunksOf();
    const first = { id: "chatcmpl-r-0", object: "chat.completion.chunk", created: CREATED, model: "m" };
    const choice = (delta: object, finish_reason: string | null = null) => ({
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    });
    expect(chunks.take(event(1, "run.queued"))).toEqual([{ ...first, ...choice({ role: "assistant", content: "" }) }]);
    expect(chunks.take(event(2, "step.started"))).toEqual([]);
    expect(chunks.take(said(3, "Hel"))).toEqual([{ ...first, ...choice({ content: "Hel" }) }]);
    expect(chunks.take(said(4, "lo"))).toEqual([{ ...first, ...choice({ content: "lo" }) }]);
    expect(chunks.end(ended({ text: "Hello" }))).toEqual([{ ...first, ...choice({}, "stop") }]);
  });

  test("tell the usage last, in a chunk of its own, where it is asked for", () => {
    const chunks = chunksOf(0, true);
    expect(chunks.take(event(1, "run.queued"))).toMatchObject([{ usage: null }]);
    expect(chunks.end(ended({ finishReason: "length" }))).toMatchObject([
      { choices: [{ finish_reason: "length" }], usage: null },
      { choices: [], usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 } },
    ]);
  });

  test("have calls of tools whole, with their numbers", () => {
    const toolCalls = ["a", "b"].map((id) => ({ id, name: `tool-${id}`, arguments: "{}" }));
    const [calls, last] = chunksOf().end(ended({ toolCalls, finishReason: "tool-calls" }));
    expect(calls!.choices[0]!.delta.tool_calls).toEqual([
      { index: 0, id: "a", type: "function", function: { name: "tool-a", arguments: "{}" } },
      { index: 1, id: "b", type: "function", function: { name: "tool-b", arguments: "{}" } },
    ]);
    expect(last!.choices[0]!.finish_reason).toBe("tool_calls");
  });

  test("leave out what attempts before the last one said, where they are read afterwards", () => {
    const chunks = chunksOf(6);
    const log = [
      event(1, "run.queued"),
      event(2, "step.started"),
      said(3, "No"),
      event(4, "step.started"),
      said(5, "Ye"),
    ];
    expect(texts(log.flatMap((each) => chunks.take(each)))).toEqual([]);
    expect(texts(chunks.take(said(6, "s.")))).toEqual(["Yes."]);
    expect(texts(chunks.take(said(7, " Indeed")))).toEqual([" Indeed"]);
    expect(texts(chunks.end(ended({ text: "Yes. Indeed." })))).toEqual(["."]);
  });

  test("go on behind what was sent, if another attempt says the same", () => {
    const chunks = chunksOf();
    const log = [event(1, "run.queued"), event(2, "step.started"), said(3, "One, two"), event(4, "step.started")];
    expect(texts(log.flatMap((each) => chunks.take(each)))).toEqual(["One, two"]);
    expect(texts(chunks.take(said(5, "One, ")))).toEqual([]);
    expect(texts(chunks.take(said(6, "two, three")))).toEqual([", three"]);
  });

  test("end with an error if another attempt says something else, sooner or later", () => {
    const sooner = chunksOf();
    for (const each of [event(1, "run.queued"), said(2, "One"), event(3, "step.started")]) sooner.take(each);
    expect(() => sooner.take(said(4, "Two"))).toThrow(/answers otherwise/);
    const later = chunksOf();
    for (const each of [event(1, "run.queued"), said(2, "One")]) later.take(each);
    expect(() => later.end(ended({ text: "O" }))).toThrow(/answers otherwise/);
  });

  test("take the text from the run, where its log does not reach back", () => {
    const chunks = chunksOf();
    const snapshot = ended({ text: "Hello" });
    chunks.take({ type: "reset", run: "r-0", seq: 9, snapshot });
    expect(texts(chunks.end(snapshot))).toEqual(["Hello"]);
  });

  test("end with the run's own error", () => {
    const error = { name: "FatalError", code: "model_request", message: "The model server answered 400: no." };
    expect(() => chunksOf().end(ended({}, { status: "failed", error }))).toThrow(error.message);
  });
});
