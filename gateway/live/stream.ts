import type { Millrace, StreamMessage } from "../../engine/index.ts";
import type { Caller } from "../access/caller.ts";

/** Which runs beside single ones are watched: those of a workflow, or all. */
export type StreamOf = { workflow: string } | { all: true };

/** What a client is told of a stream: what is not about one run says of which stream it is. */
export type LiveMessage = StreamMessage & Partial<StreamOf>;

/**
 * The events of many runs for a caller, without those that it may not watch.
 *
 * @throws as `watchAll`
 */
export async function* streamFor(
  millrace: Millrace,
  caller: Caller,
  of: StreamOf,
  options: { after?: string | undefined; snapshot?: boolean | undefined; signal: AbortSignal },
): AsyncGenerator<LiveMessage> {
  const { tenant } = caller;
  const workflows = "workflow" in of ? { workflows: [of.workflow] } : {};
  for await (const message of millrace.watchAll({ tenant, ...workflows, ...options })) {
    if (message.type === "cursor") yield { ...message, ...of };
    else if ("runs" in message) yield { ...message, ...of, runs: message.runs.filter((run) => caller.mayWatch(run)) };
    else if (caller.mayWatch({ id: message.run, workflow: message.workflow })) yield message;
  }
}
