import specs from "@asyncapi/specs";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import fc from "fast-check";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clientMessage } from "../../gateway/live/messages.ts";
import { VERSION } from "../../gateway/version.ts";
import { described, misfit, payloads } from "../support/described-messages.ts";
import { newSeed } from "../support/faults/settings.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

let gateway: TestGateway;
// biome-ignore lint/suspicious/noExplicitAny: it is checked by a validator
let served: any;
beforeAll(async () => {
  gateway = await startGateway({ workflows: gatewayWorkflows().workflows, worker: false });
  served = (await gateway.call("GET", "/asyncapi.json")).body;
});
afterAll(() => gateway.close());

/** Every reference, wherever it stands. */
function refsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => (key === "$ref" ? [String(each)] : refsIn(each)));
}

test("the description of what goes over sockets is AsyncAPI 3.0, of this version", () => {
  expect(served).toEqual(described);
  expect(served.info.version).toBe(VERSION);
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const official = structuredClone(specs.schemas["3.0.0"]);
  // The validator has that one itself.
  delete official.definitions?.["http://json-schema.org/draft-07/schema"];
  const check = ajv.compile(official);
  expect(check(served), JSON.stringify(check.errors)).toBe(true);
  for (const broken of [
    { ...served, asyncapi: "2.0.0" },
    { ...served, operations: { a: { action: "shout" } } },
    { ...served, more: 1 },
  ])
    expect(check(broken)).toBe(false);
});

test("and whatever it refers to is there", () => {
  const refs = new Set(refsIn(served));
  expect(refs.size).toBeGreaterThan(20);
  for (const ref of refs) {
    expect(ref).toMatch(/^#\//);
    const parts = ref.slice(2).split("/");
    expect(
      parts.reduce((value, part) => value?.[part], served),
      ref,
    ).toBeDefined();
  }
  const named = Object.values<{ messages: object }>(served.channels).flatMap(({ messages }) => Object.keys(messages));
  expect([...new Set(named)].sort()).toEqual(Object.keys(served.components.messages).sort());
});

test("a message that nobody described is seen as such", () => {
  const live = `${gateway.url}/v1/live`;
  expect(misfit(live, { type: "connected" })).toBeUndefined();
  expect(misfit(live, { type: "connected", more: 1 })).toMatch(/fits nothing/);
  expect(misfit(live, { type: "cursor", cursor: "a" })).toBeUndefined();
  expect(misfit(`${gateway.url}/v1/runs/a/events`, { type: "cursor", cursor: "a" })).toMatch(/fits nothing/);
});

test("what clients may say is what is described, and nothing else", () => {
  const seed = newSeed();
  console.log(`SEED=${seed}`);
  const text = fc.oneof(fc.constantFrom("", "a", "a b", "\n", "x".repeat(65), "x".repeat(256)), fc.string());
  const any = <T>(...usual: T[]) => fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...usual) }, fc.jsonValue());
  const messages = fc.record(
    {
      type: any("subscribe", "unsubscribe", "signal", "signal", "ping"),
      run: any("a"),
      name: any("b"),
      ...{ workflow: any("c"), all: any(true), snapshot: any(true), after: any<unknown>("1", 1, -1, 1.5) },
      ...{ data: fc.jsonValue(), id: text, idempotencyKey: text, more: fc.constant(1) },
    },
    { requiredKeys: ["type"] },
  );
  const some = fc
    .tuple(
      messages,
      fc.subarray(["run", "name", "workflow", "all", "snapshot", "after", "data", "id", "idempotencyKey"]),
    )
    .map(([message, names]) =>
      Object.fromEntries(Object.entries(message).filter(([name]) => name === "type" || names.includes(name as "run"))),
    );
  const of = fc.constantFrom({ run: "a" }, { workflow: "c" }, { all: true });
  // Nothing of it is wrong, but for what its texts may be.
  const usual = fc.oneof(
    fc.tuple(fc.constantFrom("subscribe", "unsubscribe"), of).map(([type, what]) => ({ type, ...what })),
    fc.record({
      type: fc.constant("signal"),
      run: fc.constant("a"),
      name: fc.constant("b"),
      data: fc.jsonValue(),
      id: text,
    }),
  );
  const counts = { taken: 0, refused: 0 };
  const same = fc.property(fc.oneof(messages, some, usual), (message) => {
    const isTaken = v.is(clientMessage, message);
    counts[isTaken ? "taken" : "refused"] += 1;
    const fits = ["subscribe", "unsubscribe", "signal", "ping"].filter((name) => payloads().get(name)!(message));
    expect(fits, JSON.stringify(message)).toEqual(isTaken ? [message.type] : []);
  });
  fc.assert(same, { seed, numRuns: 2_000 });
  expect(Math.min(counts.taken, counts.refused)).toBeGreaterThan(20);
});
