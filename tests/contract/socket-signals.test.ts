import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RateLimit, type Scope, workflow } from "../../engine/index.ts";
import { DEFAULT_LIMITS } from "../../gateway/limits.ts";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestSocket } from "../support/live-clients.ts";

const approval = workflow("approval", { input: v.object({}) })
  .waitFor("approve", { schema: v.object({ by: v.string() }), timeoutMs: 86_400_000 })
  .step("end", (signal) => (signal.timedOut ? "nobody" : signal.data.by));
const anything = workflow("anything", { input: v.object({}) }).waitFor("say", { schema: v.any() });
let gateway: TestGateway;
let acme: Record<string, string>;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [approval, anything, ...gatewayWorkflows().workflows], keys: true });
  acme = (await keyOf("acme", ["runs:read", "runs:write", "signals:write"])).headers;
});
afterAll(() => gateway.close());

async function keyOf(tenant: string, scopes: Scope[], rateLimit?: RateLimit) {
  const made = { tenant, name: "test", scopes, ...(rateLimit === undefined ? {} : { rateLimit }) };
  const { id, secret } = await gateway.millrace.access.keys.create(made);
  return { id, headers: { Authorization: `Bearer ${secret}` } };
}
const start = async (name = "approval", headers = acme): Promise<string> =>
  (await gateway.call("POST", `/v1/workflows/${name}/runs`, { input: {} }, headers)).body.id;
const outputOf = async (run: string) =>
  (
    await eventually(
      () => gateway.call("GET", `/v1/runs/${run}`, undefined, acme),
      ({ body }) => body.status === "completed",
    )
  ).body.output;
const ticketFor = async (body: object, headers = acme): Promise<string> =>
  (await gateway.call("POST", "/v1/tickets", body, headers)).body.ticket;

const sockets: TestSocket[] = [];
async function open(headers: Record<string, string>, path = "/v1/live"): Promise<TestSocket> {
  const socket = new TestSocket(gateway.url + path, headers);
  sockets.push(socket);
  await socket.opened;
  return socket;
}
afterAll(async () => {
  for (const { socket } of sockets) socket.terminate();
  await Promise.all(sockets.map(({ closed }) => closed));
});

/** Sends a signal and gives what answers it. */
function signal(socket: TestSocket, message: object, id = `m-${counted++}`) {
  socket.send({ type: "signal", id, ...message });
  return answerTo(socket, id);
}
let counted = 0;
// biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is what the test is about
const answerTo = (socket: TestSocket, id: string): Promise<any> =>
  socket.first((message) => message.id === id || message.problem?.id === id);
const by = (name: string) => ({ name: "approve", data: { by: name } });

describe("a page with one ticket", () => {
  test.each(["/v1/live", "/v1/runs/RUN/events"])("watches a run and sends it a signal over %s", async (path) => {
    const run = await start();
    const ticket = await ticketFor({ runs: [run], canSignal: true });
    const socket = await open({}, `${path.replace("RUN", run)}?ticket=${ticket}`);
    if (path === "/v1/live") socket.send({ type: "subscribe", run });
    await socket.ofType("run.queued");
    expect(await signal(socket, { run, ...by("ann") }, "mine")).toEqual({
      ...{ type: "accepted", run, name: "approve", id: "mine" },
    });
    await socket.ofType("run.completed");
    expect(await outputOf(run)).toBe("ann");
  });

  test("sends none if the ticket does not say so, nor to a run that it is not for", async () => {
    const [run, other] = [await start(), await start()];
    const watching = await open({}, `/v1/live?ticket=${await ticketFor({ runs: [run] })}`);
    expect(await signal(watching, { run, ...by("eve") })).toMatchObject({
      ...{ type: "error", problem: { status: 403, type: "urn:millrace:problem:scope", run, name: "approve" } },
    });
    const signalling = await open({}, `/v1/live?ticket=${await ticketFor({ runs: [run], canSignal: true })}`);
    expect(await signal(signalling, { run: other, ...by("eve") })).toMatchObject({
      problem: { status: 404, run: other },
    });
    expect(await signal(signalling, { run, ...by("ann") })).toMatchObject({ type: "accepted" });
    expect(await signal(await open(acme), { run: other, ...by("bob") })).toMatchObject({ type: "accepted" });
    expect([await outputOf(run), await outputOf(other)]).toEqual(["ann", "bob"]);
  });

  test("counts against the key that the ticket was asked for with", async () => {
    const limited = await keyOf("acme", ["runs:read", "signals:write"], { requests: 3, windowMs: 3_600_000 });
    const run = await start();
    const ticket = await ticketFor({ runs: [run], canSignal: true }, limited.headers);
    const socket = await open({}, `/v1/live?ticket=${ticket}`);
    for (let i = 0; i < 2; i += 1)
      expect(await signal(socket, { run, name: "nothing" })).toMatchObject({ problem: { status: 404 } });
    const refused = await signal(socket, { run, ...by("ann") });
    expect(refused).toMatchObject({
      problem: { status: 429, type: "urn:millrace:problem:rate-limit", retryAfter: expect.any(Number) },
    });
    expect(refused.problem.retryAfter).toBeGreaterThan(0);
    expect((await gateway.call("GET", `/v1/runs/${run}`, undefined, limited.headers)).status).toBe(429);
    expect((await gateway.call("POST", `/v1/runs/${run}/signals/approve`, { by: "bob" }, acme)).status).toBe(202);
  });
});

describe("a key", () => {
  test("without the scope sends none, and one with a limit as many as it may ask", async () => {
    const run = await start();
    const reader = await keyOf("acme", ["runs:read"]);
    expect(await signal(await open(reader.headers), { run, ...by("eve") })).toMatchObject({ problem: { status: 403 } });
    const limited = await keyOf("acme", ["runs:read", "signals:write"], { requests: 2, windowMs: 3_600_000 });
    const socket = await open(limited.headers);
    expect(await signal(socket, { run, ...by("ann") })).toMatchObject({ type: "accepted" });
    expect(await signal(socket, { run, ...by("ann") })).toMatchObject({ problem: { status: 429 } });
    expect((await gateway.call("GET", "/v1/runs", undefined, limited.headers)).status).toBe(429);
  });

  test("of another tenant finds no such run, as for one that there is not", async () => {
    const run = await start();
    const other = await keyOf("other", ["admin"]);
    const socket = await open(other.headers);
    const told = async (id: string) => {
      const { problem } = await signal(socket, { run: id, ...by("eve") });
      return { ...problem, detail: problem.detail.replaceAll(id, "ID"), run: "ID", id: "" };
    };
    expect(await told(run)).toEqual(await told("unknown"));
    expect(await told(run)).toMatchObject({ status: 404, type: "urn:millrace:problem:not-found" });
    expect((await gateway.call("POST", `/v1/runs/${run}/signals/approve`, { by: "ann" }, acme)).status).toBe(202);
  });

  test("that is revoked has nothing stored that comes afterwards, though the client does not let go", async () => {
    const { id, headers } = await keyOf("acme", ["runs:read", "signals:write"]);
    const metrics = (await keyOf("acme", ["admin"])).headers;
    const isOpen = async () =>
      Number(/millrace_open_sockets (\d+)/.exec((await gateway.call("GET", "/metrics", undefined, metrics)).body)?.[1]);
    const before = await isOpen();
    const run = await start();
    const socket = await open(headers);
    await expect.poll(isOpen).toBe(before + 1);
    socket.pause();
    await gateway.millrace.access.keys.revoke(id);
    await expect.poll(isOpen).toBe(before);
    socket.send({ type: "signal", run, ...by("eve") });
    socket.socket.resume();
    expect((await socket.closed).code).toBe(1008);
    expect(socket.messages).toEqual([]);
    expect((await gateway.call("POST", `/v1/runs/${run}/signals/approve`, { by: "ann" }, acme)).status).toBe(202);
    expect(await outputOf(run)).toBe("ann");
  });
});

describe("a signal over a socket", () => {
  test("counts once for its key, over requests too; another is refused, and so is one to a run that has ended", async () => {
    const run = await start();
    const socket = await open(acme);
    const keyed = { run, idempotencyKey: "one key, with spaces" };
    for (let i = 0; i < 2; i += 1)
      expect(await signal(socket, { ...keyed, ...by("ann") })).toMatchObject({ type: "accepted" });
    const asked = (key: string) =>
      gateway.call("POST", `/v1/runs/${run}/signals/approve`, { by: "ann" }, { ...acme, "Idempotency-Key": key });
    expect((await asked(keyed.idempotencyKey)).status).toBe(202);
    for (const more of [{}, { idempotencyKey: "another" }])
      expect(await signal(socket, { run, ...more, ...by("bob") })).toMatchObject({
        problem: { status: 409, type: "urn:millrace:problem:signal-settled", run, name: "approve" },
      });
    expect(await outputOf(run)).toBe("ann");
    const ended = await start();
    await gateway.call("POST", `/v1/runs/${ended}/cancel`, undefined, acme);
    expect(await signal(socket, { run: ended, ...by("ann") })).toMatchObject({
      problem: { status: 409, type: "urn:millrace:problem:run-ended" },
    });
  });

  test.each([["text"], [7], [[]], [null], [{ deep: [{ down: 1 }] }], [undefined]])(
    "may bring any JSON, or nothing: %j",
    async (data) => {
      const run = await start("anything");
      expect(await signal(await open(acme), { run, name: "say", data })).toMatchObject({ type: "accepted" });
      expect(await outputOf(run)).toEqual(data ?? null);
    },
  );

  test.each<[string, object, number, (string[] | undefined)?]>([
    ["what its step does not take", { data: { by: 7 } }, 422, ["by"]],
    ["an odd name", { name: "a b" }, 404],
    ["the name of what is no signal", { name: "end" }, 404],
    ["__proto__ as its name", { name: "__proto__" }, 404],
    ["a very long name", { name: "x".repeat(60_000) }, 404],
    ["an odd run", { run: "../a" }, 404],
    ["no run", { run: undefined }, 422, ["run"]],
    ["no name", { name: undefined }, 422, ["name"]],
    ["a name that is no text", { name: 7 }, 422, ["name"]],
    ["a key of two lines", { idempotencyKey: "a\nb" }, 422, ["idempotencyKey"]],
    ["an empty key", { idempotencyKey: "" }, 422, ["idempotencyKey"]],
    ["a field too many", { more: 1 }, 422, ["more"]],
  ])("with %s is refused, and the socket goes on", async (_, wrong, status, path) => {
    const run = await start();
    for (const socket of [await open(acme), await open(acme, `/v1/runs/${run}/events`)]) {
      const { type, problem } = await signal(socket, { run, ...by("eve"), ...wrong });
      expect(type).toBe("error");
      expect(problem).toMatchObject({ status, ...(path === undefined ? {} : { errors: [{ path }] }) });
      expect(JSON.stringify(problem).length).toBeLessThan(1_000);
    }
    expect(await signal(await open(acme), { run, ...by("ann") })).toMatchObject({ type: "accepted" });
    expect(await outputOf(run)).toBe("ann");
  });

  test("without an id is answered without one, and an id that is none is said so", async () => {
    const run = await start();
    const socket = await open(acme);
    for (const id of ["", "x".repeat(65), 7]) {
      socket.send({ type: "signal", run, ...by("eve"), id });
      await expect.poll(() => socket.messages.length).toBe(1);
      expect(socket.messages.pop()).toMatchObject({ problem: { status: 422, errors: [{ path: ["id"] }] } });
    }
    socket.send({ type: "signal", run, ...by("ann") });
    expect(await socket.ofType("accepted")).toEqual({ type: "accepted", run, name: "approve" });
  });

  test("comes before those that are sent after it", async () => {
    const socket = await open(acme);
    const run = await start();
    // It takes longer to store than the others, as its data goes to the blob store.
    const large = "first ".repeat(8_000);
    const answers = [large, "second", "third"].map((name) => signal(socket, { run, ...by(name) }));
    const [first, ...rest] = await Promise.all(answers);
    expect(first).toMatchObject({ type: "accepted" });
    for (const each of rest) expect(each).toMatchObject({ problem: { status: 409 } });
    expect(await outputOf(run)).toBe(large);
  });

  test("is one of so many under way, and each of a flood is answered", async () => {
    const socket = await open(acme);
    const { socketSignals } = DEFAULT_LIMITS;
    const asked = Array.from({ length: 500 }, () => signal(socket, { run: "unknown", ...by("eve") }));
    const answers = await Promise.all(asked);
    const statuses = answers.map(({ problem }) => problem.status);
    expect(statuses.slice(0, socketSignals)).toEqual(Array(socketSignals).fill(404));
    const refused = answers.filter(({ problem }) => problem.status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ problem: { type: "urn:millrace:problem:too-many-signals", run: "unknown" } });
    expect(statuses.filter((status) => status !== 404 && status !== 429)).toEqual([]);
    const run = await start();
    expect(await signal(socket, { run, ...by("ann") })).toMatchObject({ type: "accepted" });
    expect(await outputOf(run)).toBe("ann");
  });
});

test("a socket of one run takes signals and nothing else", async () => {
  const run = await start();
  const socket = await open(acme, `/v1/runs/${run}/events`);
  socket.send({ type: "subscribe", run, id: "no" });
  expect(await socket.ofType("error")).toMatchObject({ problem: { status: 422 } });
  expect(await signal(socket, { run, ...by("ann") })).toMatchObject({ type: "accepted" });
  expect(await socket.closed).toEqual({ code: 1000, reason: "the run has ended" });
});
