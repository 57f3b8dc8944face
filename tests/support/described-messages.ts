import { Ajv, type ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { asyncApi } from "../../gateway/api/asyncapi.ts";
import { VERSION } from "../../gateway/version.ts";
import { closed } from "./json-schema.ts";

interface Refs {
  channel: { $ref: string };
  messages: { $ref: string }[];
}

/** An AsyncAPI document, as far as it is looked at. */
export interface Document {
  channels: Record<string, { address: string; messages: Record<string, { $ref: string }> }>;
  operations: Record<string, Refs & { action: "send" | "receive"; reply?: Refs }>;
  components: { messages: Record<string, { payload: object }> };
}

/** The gateway's, as JSON. */
export const described: Document = JSON.parse(JSON.stringify(asyncApi({ version: VERSION })));

const last = ({ $ref }: { $ref: string }) => $ref.split("/").at(-1)!;
let checks: Map<string, ValidateFunction> | undefined;

/** The check of each message's payload, by its name. */
export function payloads(): Map<string, ValidateFunction> {
  if (checks !== undefined) return checks;
  const ajv = new Ajv({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema(JSON.parse(JSON.stringify(described), closed), "live");
  const names = Object.keys(described.components.messages);
  checks = new Map(names.map((name) => [name, ajv.compile({ $ref: `live#/components/messages/${name}/payload` })]));
  return checks;
}

/** The names of what the server sends over the channel of an address; undefined if there is no such channel. */
function sentOver(url: string): Set<string> | undefined {
  const { pathname } = new URL(url);
  for (const [channel, { address }] of Object.entries(described.channels)) {
    if (!new RegExp(`^${address.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(pathname)) continue;
    const sending = Object.values(described.operations).flatMap(({ action, reply, ...operation }) =>
      action === "send" ? [operation] : reply === undefined ? [] : [reply],
    );
    return new Set(
      sending.filter((each) => last(each.channel) === channel).flatMap(({ messages }) => messages.map(last)),
    );
  }
  return undefined;
}

/** What is wrong with a message that came over a channel; undefined if it is one, and only one, of those that are described. */
export function misfit(url: string, message: unknown): string | undefined {
  const names = sentOver(url);
  if (names === undefined) return undefined;
  const fitting = [...names].filter((name) => payloads().get(name)!(message));
  return fitting.length === 1 ? undefined : `${JSON.stringify(message)} fits ${fitting.join(" and ") || "nothing"}`;
}
