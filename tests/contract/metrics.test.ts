import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestSocket, TestStream } from "../support/live-clients.ts";
import { figureOf, parseMetrics } from "../support/metrics.ts";

const { workflows, gates, broken } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, limits: { sockets: 3, socketsPerKey: 2 } });
});
afterAll(() => gateway.close());

const metrics = async (): Promise<string> => (await gateway.call("GET", "/metrics")).body;
const start = async (workflow: string, input: unknown, headers = {}): Promise<string> =>
  (await gateway.call("POST", `/v1/workflows/${workflow}/runs`, { input }, headers)).body.id;
const ofStep = (workflow: string, step: string) => ({ workflow, version: "1", step });

test("are in the text format of Prometheus, and count requests by route and status", async () => {
  await gateway.call("GET", `/v1/runs/${"0".repeat(32)}-0`);
  await gateway.call("GET", "/v1/nothing/here");
  const { status, headers } = await gateway.call("GET", "/metrics");
  expect([status, headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  const text = await metrics();
  const labels = { method: "GET", route: "/v1/runs/{id}" };
  expect(figureOf(text, "millrace_http_requests_total", { ...labels, status: "404" })).toBe(1);
  expect(figureOf(text, "millrace_http_request_duration_seconds_count", labels)).toBe(1);
  expect(figureOf(text, "millrace_http_requests_total", { route: "none", status: "404" })).toBe(1);
  expect(text).not.toContain("nothing");
  expect(figureOf(text, "millrace_redis_connected")).toBe(1);
  expect(figureOf(text, "millrace_store_up")).toBe(1);
});

test("count the runs that were accepted, those of a repeated request apart", async () => {
  const key = { "Idempotency-Key": "once" };
  await start("greet", { name: "Ada" }, key);
  await start("greet", { name: "Ada" }, key);
  const text = await metrics();
  expect(figureOf(text, "millrace_admissions_total", { workflow: "greet", created: "true" })).toBe(1);
  expect(figureOf(text, "millrace_admissions_total", { workflow: "greet", created: "false" })).toBe(1);
});

test("show what waits at each step, what is in hand and what failed for good, and the workers", async () => {
  const id = await start("held", {});
  const read = (name: string, labels: Record<string, string>) => async () => figureOf(await metrics(), name, labels);
  const eventually = { timeout: 10_000 };
  await expect.poll(read("millrace_queue_in_flight", ofStep("held", "wait")), eventually).toBe(1);
  gates.open(id);
  await expect.poll(read("millrace_queue_in_flight", ofStep("held", "wait")), eventually).toBe(0);
  broken.add("Bob");
  await start("fragile", { name: "Bob" });
  await expect.poll(read("millrace_queue_dead_letters", ofStep("fragile", "try")), eventually).toBe(1);
  await gateway.millrace.pause({ workflow: "greet" });
  await start("greet", { name: "Ada" });
  await expect.poll(read("millrace_queue_depth", ofStep("greet", "hello")), eventually).toBe(1);
  await expect.poll(read("millrace_queue_oldest_age_seconds", ofStep("greet", "hello")), eventually).toBeGreaterThan(0);
  const text = await metrics();
  expect(figureOf(text, "millrace_queue_paused", ofStep("greet", "hello"))).toBe(1);
  expect(figureOf(text, "millrace_queue_workers", ofStep("greet", "hello"))).toBe(1);
  expect(figureOf(text, "millrace_workers", { state: "alive" })).toBe(1);
  await gateway.millrace.resume({ workflow: "greet" });
  await gateway.millrace.subscriptions.create({ group: "billing", events: ["run.completed"] });
  await start("greet", { name: "Ada" });
  await expect.poll(read("millrace_subscription_waiting", { group: "billing" }), eventually).toBeGreaterThan(0);
  await gateway.millrace.subscriptions.delete("billing");
});

test("Redis is asked once a second at the most, however many ask", async () => {
  const asked: string[] = [];
  const { queues } = gateway.millrace;
  Object.assign(gateway.millrace, {
    queues: () => {
      asked.push("queues");
      return queues();
    },
  });
  const texts = await Promise.all(Array.from({ length: 50 }, metrics));
  Object.assign(gateway.millrace, { queues });
  expect(new Set(texts.map((text) => parseMetrics(text).types.has("millrace_queue_depth")))).toEqual(new Set([true]));
  // More than a second may pass meanwhile.
  expect(asked.length).toBeLessThan(10);
});

test("count sockets and streams while they are open, the events that they carry, and how late these are", async () => {
  const id = await start("held", {});
  const before = await metrics();
  const sentBy = (text: string, transport: string) => figureOf(text, "millrace_events_sent_total", { transport }) ?? 0;
  const socket = new TestSocket(`${gateway.url}/v1/runs/${id}/events`);
  const stream = await TestStream.open(`${gateway.url}/v1/runs/${id}/events`);
  await socket.ofType("step.output");
  await stream.ofType("step.output");
  const meanwhile = await metrics();
  expect(figureOf(meanwhile, "millrace_open_sockets")).toBe(1);
  expect(figureOf(meanwhile, "millrace_open_event_streams")).toBe(1);
  // A third is one too many for who has two already.
  const refused = await gateway.call("GET", `/v1/runs/${id}/events`);
  expect(refused).toMatchObject({ status: 429, body: { type: "urn:millrace:problem:too-many-sockets" } });
  expect(refused.headers.get("retry-after")).toBe("10");
  expect(await new TestSocket(`${gateway.url}/v1/live`).refused).toBe(429);
  gates.open(id);
  await socket.closed;
  await stream.ended;
  const read = async () => figureOf(await metrics(), "millrace_open_event_streams");
  await expect.poll(read, { timeout: 5_000 }).toBe(0);
  const after = await metrics();
  expect(figureOf(after, "millrace_open_sockets")).toBe(0);
  expect(sentBy(after, "websocket") - sentBy(before, "websocket")).toBe(socket.messages.length);
  expect(sentBy(after, "sse") - sentBy(before, "sse")).toBe(stream.messages.length);
  const lags =
    figureOf(after, "millrace_event_lag_seconds_count")! - figureOf(before, "millrace_event_lag_seconds_count")!;
  // Those that came before they were open are no part of it.
  expect(lags).toBeGreaterThan(0);
  expect(lags).toBeLessThan(socket.messages.length + stream.messages.length);
  expect(figureOf(after, "millrace_refusals_total", { status: "429", code: "too_many_sockets" })).toBe(2);
});
