import * as v from "valibot";
import { type Message, message } from "./messages.ts";

const MOST_CHARACTERS = 100_000;

const within = (least: number, most: number) => {
  const message = `A number from ${least} to ${most}.`;
  return v.optional(v.pipe(v.number(message), v.minValue(least, message), v.maxValue(most, message)));
};
const anyObject = v.record(v.string(), v.unknown());
const toolName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/, "1 to 64 of A-Z a-z 0-9 _ -"));

const tool = v.object({
  type: v.literal("function", "Only functions are taken as tools."),
  function: v.object({
    name: toolName,
    description: v.optional(v.string()),
    /** A JSON Schema. */
    parameters: v.optional(anyObject),
    strict: v.nullish(v.boolean()),
  }),
});

const toolChoice = v.union(
  [
    v.picklist(["none", "auto", "required"]),
    v.object({ type: v.literal("function"), function: v.object({ name: toolName }) }),
  ],
  "One of none, auto, required and {type: function, function: {name}}.",
);

const responseFormat = v.variant(
  "type",
  [
    v.object({ type: v.literal("text") }),
    v.object({ type: v.literal("json_object") }),
    v.object({
      type: v.literal("json_schema"),
      json_schema: v.object({
        name: toolName,
        description: v.optional(v.string()),
        schema: anyObject,
        strict: v.nullish(v.boolean()),
      }),
    }),
  ],
  "The type is one of text, json_object and json_schema.",
);

/** A function that the model may ask to be called. */
export interface Tool {
  type: "function";
  function: {
    name: string;
    description?: string | undefined;
    /** A JSON Schema. */
    parameters?: Record<string, unknown> | undefined;
    strict?: boolean | null | undefined;
  };
}

/** What is asked of a model: a `prompt`, or `messages`. Those from `temperature` on are as in OpenAI's chat completions. */
export interface InferenceInput {
  prompt?: string | undefined;
  messages?: Message[] | undefined;
  model?: string | undefined;
  user_id?: string | undefined;
  system?: string | undefined;
  max_tokens?: number | undefined;
  cache?: boolean | undefined;
  temperature?: number | undefined;
  top_p?: number | undefined;
  frequency_penalty?: number | undefined;
  presence_penalty?: number | undefined;
  seed?: number | undefined;
  stop?: string[] | undefined;
  response_format?:
    | { type: "text" }
    | { type: "json_object" }
    | {
        type: "json_schema";
        json_schema: {
          name: string;
          description?: string | undefined;
          schema: Record<string, unknown>;
          strict?: boolean | null | undefined;
        };
      }
    | undefined;
  tools?: Tool[] | undefined;
  tool_choice?: "none" | "auto" | "required" | { type: "function"; function: { name: string } } | undefined;
  parallel_tool_calls?: boolean | undefined;
  reasoning_effort?: string | undefined;
  verbosity?: "low" | "medium" | "high" | undefined;
  logit_bias?: Record<string, number> | undefined;
}

/** The fields of what is asked of a model. Those from `temperature` on are as in OpenAI's chat completions. */
export const inferenceFields = {
  /** What is asked; for the embedded model, with the text that holds the answer. Either this or `messages`. */
  prompt: v.optional(v.pipe(v.string(), v.minLength(1, "The prompt is empty."), v.maxLength(MOST_CHARACTERS))),
  messages: v.optional(v.pipe(v.array(message), v.minLength(1, "There is no message."), v.maxLength(2_000))),
  /** One of the server's models, or `millrace-extractive-1`. */
  model: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
  /** Handed to the server as `user`, and the key that what is used is summed for. */
  user_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
  /** Goes with a prompt; messages have it among them. */
  system: v.optional(v.pipe(v.string(), v.maxLength(MOST_CHARACTERS))),
  max_tokens: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(128_000))),
  /** Whether the answer that the same request had before will do, where the worker remembers it. */
  cache: v.optional(v.boolean()),
  temperature: within(0, 2),
  top_p: within(0, 1),
  frequency_penalty: within(-2, 2),
  presence_penalty: within(-2, 2),
  seed: v.optional(v.pipe(v.number(), v.safeInteger("A whole number."))),
  stop: v.optional(
    v.pipe(v.array(v.pipe(v.string(), v.minLength(1), v.maxLength(500))), v.minLength(1), v.maxLength(4)),
  ),
  response_format: v.optional(responseFormat),
  tools: v.optional(v.pipe(v.array(tool), v.maxLength(128))),
  tool_choice: v.optional(toolChoice),
  parallel_tool_calls: v.optional(v.boolean()),
  reasoning_effort: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(20))),
  verbosity: v.optional(v.picklist(["low", "medium", "high"])),
  logit_bias: v.optional(v.record(v.string(), v.number())),
};

export const inferenceInput: v.GenericSchema<InferenceInput> = v.pipe(
  v.object(inferenceFields),
  v.forward(
    v.check(({ prompt, messages }) => (prompt === undefined) !== (messages === undefined), "Give this, or messages."),
    ["prompt"],
  ),
  v.forward(
    v.check(({ system, messages }) => system === undefined || messages === undefined, "Put it among the messages."),
    ["system"],
  ),
);
