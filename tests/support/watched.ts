import type { Message } from "../../gateway/client/index.ts";

/** Everything that a watch tells, once it has ended. */
export async function all(messages: AsyncIterable<Message>): Promise<Message[]> {
  const seen: Message[] = [];
  for await (const message of messages) seen.push(message);
  return seen;
}
