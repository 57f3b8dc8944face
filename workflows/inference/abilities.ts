import type { InferenceInput } from "./input.ts";
import { hasImage, textOfMessage } from "./messages.ts";
import { EXTRACTIVE_MODEL } from "./models.ts";

/** What is asked of a model that it cannot do. */
export interface Inability {
  /** The field of the input. */
  path: string[];
  message: string;
  code: "not_supported" | "context_length_exceeded";
}

/** As long a conversation as a prompt may be. */
const MOST_CHARACTERS = 100_000;

/**
 * What a request asks for that the embedded model cannot do; undefined if it can. It is deterministic, so that a temperature or
 * a seed changes nothing and is let be.
 */
export function inabilityOf(input: InferenceInput): Inability | undefined {
  const { tools = [], tool_choice, response_format, messages = [] } = input;
  const cannot = (field: string, what: string) => unable([field], `${EXTRACTIVE_MODEL} ${what}`);
  if (tools.length > 0 && tool_choice !== "none") return cannot("tools", "calls no tools.");
  if (tool_choice !== undefined && tool_choice !== "none" && tool_choice !== "auto")
    return cannot("tool_choice", "calls no tools.");
  if (response_format !== undefined && response_format.type !== "text")
    return cannot("response_format", "writes no JSON.");
  if (input.logit_bias !== undefined) return cannot("logit_bias", "has no tokens to weigh.");
  if (input.reasoning_effort !== undefined && input.reasoning_effort !== "none")
    return cannot("reasoning_effort", "does not reason.");
  if (input.verbosity !== undefined && input.verbosity !== "medium")
    return cannot("verbosity", "quotes, and has no verbosity of its own.");
  const image = messages.findIndex(hasImage);
  if (image >= 0) return unable(["messages", String(image), "content"], `${EXTRACTIVE_MODEL} sees no images.`);
  const characters = messages.reduce((sum, each) => sum + textOfMessage(each).length, 0);
  if (characters <= MOST_CHARACTERS) return undefined;
  const message = `${EXTRACTIVE_MODEL} takes ${MOST_CHARACTERS} characters at the most, and these messages have ${characters}.`;
  return { path: ["messages"], message, code: "context_length_exceeded" };
}

function unable(path: string[], message: string): Inability {
  return { path, message, code: "not_supported" };
}
