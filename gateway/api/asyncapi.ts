import { type ConversionConfig, type JsonSchema, toJsonSchema, toJsonSchemaDefs } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { ID_PATTERN } from "../../engine/index.ts";
import * as live from "../live/messages.ts";
import { reset, runEvent } from "../views/events.ts";
import { NAMED } from "../views/named.ts";
import { bare, open, overrideRef } from "./json-schema.ts";

interface Described {
  summary: string;
  schema: v.GenericSchema;
  /** What the schema does not say. */
  more?: JsonSchema;
}

const ONE_OF = { oneOf: ["run", "workflow", "all"].map((name) => ({ required: [name] })) };

/** What the server sends. */
const SENT = {
  event: {
    summary: "An event of a run. Its number counts from 1 within the run; `cursor` is where to resume.",
    schema: runEvent,
  },
  reset: {
    summary: "The log no longer reaches back to where the client was: begin again from the snapshot.",
    schema: reset,
  },
  resetOfMany: {
    summary: "Begin with, or begin anew from, these runs of a workflow or of all.",
    schema: live.resetOfMany,
  },
  cursor: { summary: "Where a workflow's runs, or all, are to be resumed.", schema: live.place },
  accepted: { summary: "A client's signal is stored.", schema: live.accepted },
  pong: { summary: "The answer to a ping.", schema: live.pong },
  error: { summary: "What a client asked for cannot be done.", schema: live.refusal },
  disconnected: { summary: "The gateway has lost Redis; what comes meanwhile follows.", schema: live.disconnected },
  connected: { summary: "The gateway hears Redis again.", schema: live.connected },
} satisfies Record<string, Described>;

/** What clients send. */
const TAKEN = {
  subscribe: { summary: "Watch a run, the runs of a workflow, or all.", schema: live.subscribe, more: ONE_OF },
  unsubscribe: { summary: "Watch that no longer.", schema: live.unsubscribe, more: ONE_OF },
  signal: {
    summary:
      "Hand a signal to a step that waits for it, as `POST /v1/runs/{id}/signals/{name}` does. What answers it carries its `id`.",
    schema: live.signalMessage,
  },
  ping: { summary: "Ask whether the connection still is one.", schema: live.ping },
} satisfies Record<string, Described>;

type Name = keyof typeof SENT | keyof typeof TAKEN;
const OF_ONE: Name[] = ["event", "reset", "accepted", "pong", "error", "disconnected", "connected"];
const OF_MANY = Object.keys(SENT) as Name[];

/** What goes over the sockets and event streams: an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0). */
export function asyncApi({ version }: { version: string }): Record<string, unknown> {
  const { Error: error, Run, RunSummary, Event, Reset } = NAMED;
  const named = toJsonSchemaDefs({ Error: error, Run, RunSummary, Event, Reset } as never, {
    ...OPTIONS,
    typeMode: "output",
  });
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Millrace live",
      version,
      description: "Runs as they happen: over WebSockets, or as Server-Sent Events, which carry the same messages.",
      license: { name: "Apache-2.0" },
    },
    defaultContentType: "application/json",
    channels: {
      run: {
        ...channel("/v1/runs/{id}/events", [...OF_ONE, "signal", "ping"], ["after"]),
        parameters: { id: { description: `The run's id, which matches ${ID_PATTERN.source}.` } },
      },
      live: channel("/v1/live", [...OF_MANY, ...(Object.keys(TAKEN) as Name[])], []),
    },
    operations: {
      watchRun: operation("send", "One run, to its end.", "run", OF_ONE),
      signalFromRun: answered("A client that watches a run sends a signal.", "run", ["signal"], ["accepted", "error"]),
      pingFromRun: answered("A client asks whether the connection still is one.", "run", ["ping"], ["pong"]),
      watchRuns: operation("send", "Many runs, workflows or all.", "live", OF_MANY),
      watch: answered("A client says what it watches.", "live", ["subscribe", "unsubscribe"], ["error"]),
      signal: answered("A client sends a signal.", "live", ["signal"], ["accepted", "error"]),
      ping: answered("A client asks whether the connection still is one.", "live", ["ping"], ["pong"]),
    },
    components: {
      messages: {
        ...Object.fromEntries(
          Object.entries(SENT).map(([name, each]) => [name, message(name, each, sent(each.schema))]),
        ),
        ...Object.fromEntries(Object.entries(TAKEN).map(([name, each]) => [name, message(name, each, taken(each))])),
      },
      schemas: open(named),
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key, or a JWT of the configured issuer." },
        ticket: {
          ...{ type: "httpApiKey", in: "query", name: "ticket" },
          description: "Of `POST /v1/tickets`; it opens one socket or stream.",
        },
      },
    },
  };
}

function channel(address: string, names: Name[], query: string[]): Record<string, unknown> {
  const properties = Object.fromEntries([...query, "ticket"].map((name) => [name, { type: "string" }]));
  return {
    address,
    messages: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
    bindings: { ws: { method: "GET", query: { type: "object", properties }, bindingVersion: "0.1.0" } },
  };
}

function operation(action: "send" | "receive", summary: string, channel: string, names: Name[]) {
  const security = ["key", "ticket"].map((name) => ({ $ref: `#/components/securitySchemes/${name}` }));
  return { action, summary, channel: { $ref: `#/channels/${channel}` }, messages: refs(channel, names), security };
}

function answered(summary: string, channel: string, names: Name[], answers: Name[]) {
  const reply = { channel: { $ref: `#/channels/${channel}` }, messages: refs(channel, answers) };
  return { ...operation("receive", summary, channel, names), reply };
}

function refs(channel: string, names: Name[]): unknown[] {
  return names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }));
}

function message(name: string, { summary }: Described, payload: JsonSchema): unknown {
  return { name, summary, contentType: "application/json", payload };
}

const OPTIONS = {
  target: "draft-07",
  errorMode: "ignore",
  definitions: NAMED as never,
  overrideRef,
} satisfies ConversionConfig;

function sent(schema: v.GenericSchema): JsonSchema {
  return open(bare(toJsonSchema(schema as never, { ...OPTIONS, typeMode: "output" })));
}

function taken({ schema, more }: Described): JsonSchema {
  return { ...bare(toJsonSchema(schema as never, { ...OPTIONS, typeMode: "input" })), ...more };
}
