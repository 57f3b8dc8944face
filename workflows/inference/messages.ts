import * as v from "valibot";

const MOST_PARTS = 500;
const MOST_CALLS = 128;

const text = v.string("A text is wanted.");
const name = v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(64)));
const callId = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
/** What the messages of other servers may hold and none here does. */
const refused = (message: string) => v.nullish(v.never(message));

const ADDRESS = /^(?:https?:\/\/|data:image\/[A-Za-z0-9.+-]+;base64,)/;
const NO_ADDRESS = "An http(s) address, or a data address with an image.";

const textPart = v.object({ type: v.literal("text"), text });
const imagePart = v.object({
  type: v.literal("image_url"),
  image_url: v.object({
    url: v.pipe(
      v.string(),
      v.regex(ADDRESS, NO_ADDRESS),
      v.check((url) => URL.canParse(url), NO_ADDRESS),
    ),
    detail: v.optional(v.picklist(["auto", "low", "high"])),
  }),
});
const refusalPart = v.object({ type: v.literal("refusal"), refusal: text });
const partsOf = <P extends v.GenericSchema>(part: P) => v.pipe(v.array(part), v.minLength(1), v.maxLength(MOST_PARTS));
const texts = v.union([text, partsOf(textPart)], "A text is wanted, or a list of parts with texts.");

const toolCall = v.object({
  id: callId,
  type: v.literal("function", "Only calls of functions are taken."),
  function: v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(64)), arguments: v.string() }),
});

/** A part of a message: a text, or an image by its address. */
export type Part =
  | { type: "text"; text: string }
  | { type: "image_url"; image_url: { url: string; detail?: "auto" | "low" | "high" | undefined } };
type TextPart = Extract<Part, { type: "text" }>;
type RefusalPart = { type: "refusal"; refusal: string };

/** A call of a tool that the model has asked for, with its arguments as JSON. */
export interface AskedCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A message of a conversation, as OpenAI's chat completions have them. */
export type Message =
  | { role: "system" | "developer"; content: string | TextPart[]; name?: string | undefined }
  | { role: "user"; content: string | Part[]; name?: string | undefined }
  | {
      role: "assistant";
      content?: string | (TextPart | RefusalPart)[] | null | undefined;
      refusal?: string | null | undefined;
      tool_calls?: AskedCall[] | null | undefined;
      name?: string | undefined;
      audio?: null | undefined;
      function_call?: null | undefined;
    }
  | { role: "tool"; tool_call_id: string; content: string | TextPart[] };

/** Unknown fields are dropped. */
export const message: v.GenericSchema<Message> = v.variant(
  "role",
  [
    v.object({ role: v.picklist(["system", "developer"]), content: texts, name }),
    v.object({
      role: v.literal("user"),
      content: v.union(
        [text, partsOf(v.variant("type", [textPart, imagePart], "A part is of type text or image_url."))],
        "A text is wanted, or a list of parts of type text or image_url.",
      ),
      name,
    }),
    v.object({
      role: v.literal("assistant"),
      content: v.nullish(
        v.union(
          [text, partsOf(v.variant("type", [textPart, refusalPart], "A part is of type text or refusal."))],
          "A text is wanted, or a list of parts of type text or refusal.",
        ),
      ),
      refusal: v.nullish(text),
      tool_calls: v.nullish(v.pipe(v.array(toolCall), v.maxLength(MOST_CALLS))),
      name,
      audio: refused("Audio is not taken."),
      function_call: refused("Calls are taken as tool_calls."),
    }),
    v.object({ role: v.literal("tool"), tool_call_id: callId, content: texts }),
  ],
  "The role is one of system, developer, user, assistant and tool.",
);

/** The texts of a message, one after the other; images and calls are none. */
export function textOfMessage(sent: Message): string {
  const { content } = sent;
  if (content == null) return (sent.role === "assistant" && sent.refusal) || "";
  if (typeof content === "string") return content;
  return content
    .map((part) => (part.type === "text" ? part.text : part.type === "refusal" ? part.refusal : ""))
    .join("");
}

export function hasImage({ content }: Message): boolean {
  return Array.isArray(content) && content.some(({ type }) => type === "image_url");
}
