import { readFile } from "node:fs/promises";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { isOpenAiPath } from "../../gateway/openai/errors.ts";
import { VERSION } from "../../gateway/version.ts";
import { webhookDelivery } from "../../workflows/webhooks/index.ts";
import { best, type Operation, requests, type Sent } from "../support/described-requests.ts";
import { newSeed } from "../support/faults/settings.ts";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { closed, pointer } from "../support/json-schema.ts";
import { Receiver } from "../support/receiver.ts";
import { ROOT } from "../support/run.ts";
import type { Schema } from "../support/schema-arbitrary.ts";
import { LOOPBACK } from "../support/webhooks.ts";

const asking = workflow("asking", { input: v.object({}) })
  .map("each", { over: () => [1, 2], run: (n) => n })
  .waitFor("approve", { schema: v.any() });
const { workflows, broken: names } = gatewayWorkflows();
/** What a schema cannot say: inputs that fit their workflows, and what goes together. */
const GOOD: Record<string, object> = {
  startRun: { input: { name: "Ada" } },
  rerunRun: { from: "hello" },
  replayDeadLetters: { workflow: "held" },
  discardDeadLetters: { workflow: "held" },
  putSchedule: { workflow: "greet", input: { name: "Ada" }, every: 60_000 },
  createWebhook: { url: "https://hooks.invalid/", events: ["run.failed"], workflows: ["none"], tags: ["none"] },
  changeWebhook: {
    url: "https://hooks.invalid/",
    events: ["run.failed"],
    workflows: null,
    tags: null,
    disabled: false,
  },
  createInboundHook: {
    scheme: "standard-webhooks",
    secret: `whsec_${btoa("x".repeat(24))}`,
    action: { start: "greet" },
  },
  changeInboundHook: { action: { signal: "approve", runFrom: "run" } },
  rotateInboundSecret: { secret: `whsec_${btoa("y".repeat(24))}` },
  putSubscription: { events: ["run.completed"], workflows: ["greet"], maxBytes: 1_000_000 },
  createKey: { name: "ci", scopes: ["runs:read"] },
};
/** Header fields that have to be right. */
const HEADERS: Record<string, Record<string, string>> = {
  createUpload: { "Upload-Length": "5" },
  continueUpload: { "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0" },
};
/** What is not done here: others cover models, what is no JSON, sockets, and things that there are none of any more by then. */
const NEVER_DONE = [
  ...["completeDocument", "createChatCompletion", "createEmbeddings", "discardDeadLetter", "discardUndelivered"],
  ...[
    "getDeadLetterOperation",
    "issueTicket",
    "presignDocument",
    "receiveMessage",
    "replayOneUndelivered",
    "resumeSubscription",
  ],
  ...["uploadDocument"],
];
/** What takes away what others are asked of comes last. */
const ENDS = /\/cancel$|^\/v1\/dead-letters\/(?:replay|discard)$/;
const turn = (method: string, path: string) => ORDER.indexOf(ENDS.test(path) ? "delete" : method);
const ORDER = ["options", "head", "get", "post", "put", "patch", "delete"];
let gateway: TestGateway;
let receiver: Receiver;
// biome-ignore lint/suspicious/noExplicitAny: it is checked by a validator
let api: any;
const checks = new Map<string, ValidateFunction>();
/** Of each kind of thing one that there is. */
const there: Record<string, string[]> = {};

/** Where that makes a difference, what an operation is asked of. */
const paths: Record<string, Record<string, string>> = {};

beforeAll(async () => {
  const delivery = webhookDelivery({ millrace: () => gateway.millrace, policy: LOOPBACK });
  gateway = await startGateway({ workflows: [...workflows, asking, delivery], webhooks: LOOPBACK });
  receiver = await Receiver.start();
  api = (await gateway.call("GET", "/openapi.json")).body;
  const run = (await gateway.call("POST", "/v1/workflows/greet/runs", { input: { name: "Ada" } })).body.id;
  const waits = (await gateway.call("POST", "/v1/workflows/asking/runs", { input: {} })).body.id;
  const held = (await gateway.call("POST", "/v1/workflows/held/runs", { input: {} })).body.id;
  names.add("Bob");
  const failed = (await gateway.call("POST", "/v1/workflows/fragile/runs", { input: { name: "Bob" } })).body.id;
  const { body } = await eventually(
    () => gateway.call("GET", "/v1/dead-letters"),
    (answer) => answer.body.data.length === 1,
  );
  await gateway.call("PUT", "/v1/schedules/nightly", { workflow: "greet", input: { name: "Ada" }, cron: "0 3 * * *" });
  await gateway.call("PUT", "/v1/subscriptions/billing", {});
  await gateway.call("PUT", "/v1/config/a.key", { value: 1 });
  const document = (await (await fetch(`${gateway.url}/v1/documents`, { method: "POST", body: "some text" })).json())
    .id;
  const toldOf = { url: receiver.url(), events: ["run.failed"] };
  const webhook = (await gateway.call("POST", "/v1/webhooks", toldOf)).body.id;
  const hook = (await gateway.call("POST", "/v1/inbound-hooks", GOOD.createInboundHook)).body.id;
  const told = (await gateway.call("POST", `/v1/webhooks/${webhook}/test`)).body.id;
  await eventually(
    () => gateway.call("GET", `/v1/runs/${told}`),
    (answer) => answer.body.status === "completed",
  );
  for (const [of, id] of Object.entries({ Webhook: webhook, InboundHook: hook }))
    for (const verb of ["get", "change", "delete"]) paths[`${verb}${of}`] = { id };
  paths.testWebhook = paths.listDeliveries = paths.rotateWebhookSecret = { id: webhook };
  paths.rotateInboundSecret = { id: hook };
  const { body: dashboard } = await gateway.call("GET", "/");
  paths.getDashboardFile = { name: /\/assets\/([\w.-]+)/.exec(dashboard)?.[1] ?? "none" };
  paths.redeliver = { id: webhook, delivery: told };
  there.delivery = [told];
  const begin = { method: "POST", headers: { "Tus-Resumable": "1.0.0", "Upload-Length": "5" } };
  const upload = (await fetch(`${gateway.url}/v1/uploads`, begin)).headers.get("location")!.split("/").at(-1)!;
  there.id = [run, waits, held, failed, body.data[0].id, document, upload];
  for (const each of ["resumeUpload", "getUpload", "continueUpload", "deleteUpload"]) paths[each] = { id: upload };
  const key = (await gateway.call("POST", "/v1/keys", GOOD.createKey)).body.id;
  for (const each of ["getKey", "rotateKey", "revokeKey"]) paths[each] = { id: key };
  paths.signalRun = { id: waits, name: "approve" };
  paths.getDeadLetter = paths.replayDeadLetter = { id: body.data[0].id };
  paths.getDocument = paths.deleteDocument = { id: document };
  paths.cancelRun = { id: held };
  for (const each of ["pauseStep", "resumeStep"]) paths[each] = { workflow: "greet", step: "hello" };
  paths.listItems = { id: waits, name: "each" };
  paths.putSchedule = { name: "hourly" };
  paths.startRun = { workflow: "greet" };
  there.workflow = ["greet", "held", "fragile"];
  there.step = there.name = ["hello", "each", "approve", "nightly"];
  there.group = ["billing"];
  there.key = ["a.key"];
  there.model = ["millrace-extractive-1"];
  there.tenant = ["default"];

  const ajv = new Ajv2020({ strict: false, allErrors: false });
  addFormats.default(ajv);
  // What clients are told is open; that a reply has no field that nobody declared is for this test.
  ajv.addSchema(JSON.parse(JSON.stringify(api), closed), "api");
  for (const [path, methods] of Object.entries<Record<string, Operation>>(api.paths))
    for (const [method, { responses }] of Object.entries(methods))
      for (const [status, response] of Object.entries(responses)) {
        const at = (response.$ref ?? `#/paths/${pointer(path)}/${method}/responses/${status}`).slice(1);
        const content =
          response.$ref === undefined ? response.content : api.components.responses[at.split("/").at(-1)!].content;
        for (const [type, { schema }] of Object.entries<{ schema?: Schema }>(content ?? {}))
          if (schema !== undefined)
            checks.set(
              `${method} ${path} ${status}`,
              ajv.compile({ $ref: `api#${at}/content/${pointer(type)}/schema` }),
            );
      }
});
afterAll(async () => {
  await gateway.close();
  await receiver[Symbol.asyncDispose]();
});

test("the description is OpenAPI 3.1, of this version", async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(api));
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
  expect(api.info.version).toBe(VERSION);
  expect(JSON.parse(await readFile(`${ROOT}package.json`, "utf8")).version).toBe(VERSION);
  const ids = Object.values<Record<string, Operation>>(api.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(50);
});

function operations(): [method: string, path: string, Operation][] {
  return Object.entries<Record<string, Operation>>(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [method, path, operation]),
  );
}

/** One request, and what must hold of its reply. */
async function ask(method: string, path: string, operation: Operation, sent: Sent): Promise<string> {
  let url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(sent.path[name]!));
  const query = Object.entries(sent.query).map(([name, value]) => [name, String(value)]);
  if (query.length > 0) url += `?${new URLSearchParams(query)}`;
  const response = await fetch(gateway.url + url, {
    method: method.toUpperCase(),
    headers: sent.headers,
    body: sent.body,
    redirect: "manual",
  });
  const about = `${method} ${url} ${JSON.stringify(sent.headers)} ${sent.body} -> ${response.status}`;
  const type = response.headers.get("content-type") ?? "";
  const isStream = /event-stream/.test(type);
  if (isStream) await response.body!.cancel();
  const text = isStream ? "" : await response.text();
  // A path of odd characters may be no path of the operation at all.
  const isBare = method === "head";
  if (response.status === 404 && (isBare || JSON.parse(text).type === "about:blank")) return "404";
  expect(Object.keys(operation.responses), `${about} ${text}`).toContain(String(response.status));
  expect(response.status, `${about} ${text}`).toBeLessThan(500);
  const errors = isOpenAiPath(path) ? "application/json" : "application/problem+json";
  if (response.status >= 400) expect(type, about).toBe(errors);
  const check = checks.get(`${method} ${path} ${response.status}`);
  if (check !== undefined && !isStream && !isBare && !check(JSON.parse(text)))
    expect.fail(`${about}\n${text}\n${JSON.stringify(check.errors)}`);
  return String(response.status);
}

describe("every operation answers as it is described", () => {
  const TRIES = 12;
  test("whatever it is asked", async () => {
    const seed = newSeed();
    console.log(`SEED=${seed}`);
    const statuses = new Map<string, Set<string>>();
    const known = { there, paths, bodies: GOOD, headers: HEADERS, queries: { watchRuns: { all: "true" } } };
    // What is seen, before it is changed; what is deleted, last.
    for (const [method, path, operation] of operations().sort(([a, at], [b, bt]) => turn(a, at) - turn(b, bt)))
      for (const isGood of [true, false]) {
        const tried = fc.asyncProperty(requests(operation, isGood, known), async (sent) => {
          const status = await ask(method, path, operation, sent);
          statuses.set(operation.operationId, (statuses.get(operation.operationId) ?? new Set()).add(status));
        });
        const first = isGood ? best(operation, known) : undefined;
        const examples: [Sent][] = first === undefined ? [] : [[first]];
        await fc.assert(tried, { seed, numRuns: TRIES, examples, endOnFailure: true });
      }
    expect(gateway.logged.filter(({ properties }) => Number(properties?.status) >= 500)).toEqual([]);
    // Of most operations both kinds were met, or too little was tried.
    const refused = [...statuses].filter(([, each]) => ![...each].some((status) => Number(status) < 300));
    expect(refused.map(([id]) => id).sort()).toEqual(NEVER_DONE);
  }, 240_000);
});

test("the page for people has every operation, and no script", async () => {
  const response = await fetch(`${gateway.url}/docs`);
  const html = await response.text();
  expect(response.headers.get("content-security-policy")).toMatch(/default-src 'none'/);
  expect(html).not.toMatch(/<script|https?:\/\//i);
  for (const methods of Object.values<Record<string, Operation>>(api.paths))
    for (const { operationId } of Object.values(methods)) expect(html).toContain(`id="${operationId}"`);
});
