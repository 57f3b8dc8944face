import { toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { clientMessage, serverMessage } from "../live/messages.ts";
import { reset, runEvent } from "../views/events.ts";

/** What goes over the sockets and event streams: an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0). */
export function asyncApi({ version }: { version: string }): Record<string, unknown> {
  const message = (name: string, summary: string, schema: v.GenericSchema) => {
    const { $schema: _, ...payload } = toJsonSchema(schema as never, { errorMode: "ignore", typeMode: "input" });
    return [name, { name, summary, contentType: "application/json", payload }] as const;
  };
  const messages = Object.fromEntries([
    message(
      "event",
      "An event of a run. Its number counts from 1 within the run; `cursor` is where to resume.",
      runEvent,
    ),
    message("reset", "The log no longer reaches back to where the client was: begin again from the snapshot.", reset),
    message(
      "notice",
      "What a client asked for cannot be done (`error`); where to go on with many runs (`cursor`), or what to begin anew from (`reset`); Redis is lost, or is back.",
      serverMessage,
    ),
    message("ask", "What a client asks for.", clientMessage),
  ]);
  const refs = (channel: string, ...names: string[]) =>
    names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }));
  const channel = (address: string, names: string[], parameters?: Record<string, unknown>) => ({
    address,
    ...(parameters === undefined ? {} : { parameters }),
    messages: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
  });
  return {
    asyncapi: "3.0.0",
    info: { title: "Millrace live", version },
    defaultContentType: "application/json",
    channels: {
      run: channel("/v1/runs/{id}/events", ["event", "reset", "notice"], { id: { description: "The run's id." } }),
      live: channel("/v1/live", ["event", "reset", "notice", "ask"]),
    },
    operations: {
      watchRun: {
        action: "send",
        summary: "One run, over a WebSocket or as Server-Sent Events.",
        channel: { $ref: "#/channels/run" },
        messages: refs("run", "event", "reset", "notice"),
      },
      watchRuns: {
        action: "send",
        summary: "Many runs over one socket, or as Server-Sent Events.",
        channel: { $ref: "#/channels/live" },
        messages: refs("live", "event", "reset", "notice"),
      },
      ask: {
        action: "receive",
        summary: "A client says what it watches.",
        channel: { $ref: "#/channels/live" },
        messages: refs("live", "ask"),
      },
    },
    components: { messages },
  };
}
