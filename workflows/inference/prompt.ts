import type { InferenceInput } from "./input.ts";
import { type Message, type Part, textOfMessage } from "./messages.ts";
import type { ChatCall } from "./provider.ts";

type Prompt = ChatCall["prompt"];
type PromptMessage = Prompt[number];
type UserContent = Extract<PromptMessage, { role: "user" }>["content"];
type AssistantContent = Extract<PromptMessage, { role: "assistant" }>["content"];

/** A request's prompt or messages, as the AI SDK's models take them. */
export function promptOf({ prompt, system, messages }: InferenceInput): Prompt {
  if (messages !== undefined) {
    const names = new Map(messages.flatMap(callsOf).map(({ id, function: { name } }) => [id, name]));
    return messages.map((message) => messageOf(message, names));
  }
  const rules: Prompt = system === undefined ? [] : [{ role: "system", content: system }];
  return [...rules, { role: "user", content: [{ type: "text", text: prompt ?? "" }] }];
}

function callsOf(message: Message) {
  return message.role === "assistant" ? (message.tool_calls ?? []) : [];
}

function messageOf(message: Message, names: ReadonlyMap<string, string>): PromptMessage {
  switch (message.role) {
    case "system":
    case "developer": {
      const role = message.role === "developer" ? { role: message.role } : {};
      return { role: "system", content: textOfMessage(message), ...raw({ ...role, ...named(message) }) };
    }
    case "user": {
      const { content } = message;
      // What goes with a lone text is taken from that part, and from nowhere else.
      if (typeof content === "string" || (content.length === 1 && content[0]!.type === "text"))
        return { role: "user", content: [{ type: "text", text: textOfMessage(message), ...raw(named(message)) }] };
      return { role: "user", content: content.map(partOf), ...raw(named(message)) };
    }
    case "assistant": {
      const text = textOfMessage(message);
      const said: AssistantContent = text === "" ? [] : [{ type: "text", text }];
      const calls = callsOf(message).map(
        ({ id, function: { name, arguments: input } }) =>
          ({ type: "tool-call", toolCallId: id, toolName: name, input }) as const,
      );
      return { role: "assistant", content: [...said, ...calls], ...raw(named(message)) };
    }
    case "tool": {
      const { tool_call_id: toolCallId } = message;
      const output = { type: "text", value: textOfMessage(message) } as const;
      const toolName = names.get(toolCallId) ?? "tool";
      return { role: "tool", content: [{ type: "tool-result", toolCallId, toolName, output }] };
    }
  }
}

function partOf(part: Part): UserContent[number] {
  if (part.type === "text") return { type: "text", text: part.text };
  const { url, detail } = part.image_url;
  // The address as it came: a worker fetches nothing that a client names.
  return {
    type: "file",
    mediaType: "image/*",
    data: { type: "url", url: new URL(url) },
    ...(detail === undefined ? {} : raw({ image_url: { url, detail } })),
  };
}

function named({ name }: { name?: string | undefined }): { name?: string } {
  return name === undefined ? {} : { name };
}

/** Fields that the SDK has no name for; it copies these as they are. */
function raw(fields: { role?: string; name?: string; image_url?: Record<string, string> }) {
  return Object.keys(fields).length === 0 ? {} : { providerOptions: { openaiCompatible: fields } };
}
