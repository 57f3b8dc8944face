import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

const { workflows, gates, broken } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
});
afterAll(() => gateway.close());

const start = (workflow: string, input: unknown, headers: Record<string, string> = {}) =>
  gateway.call("POST", `/v1/workflows/${workflow}/runs`, { input }, headers);
const run = async (id: string) => (await gateway.call("GET", `/v1/runs/${id}`)).body;
const ended = (id: string) =>
  eventually(
    () => run(id),
    ({ endedAt }) => endedAt !== undefined,
  );

describe("a run", () => {
  test("is accepted, and shown to its end", async () => {
    const { status, headers, body } = await gateway.call("POST", "/v1/workflows/greet/runs", {
      input: { name: "Ada" },
      metadata: { ticket: 7 },
      priority: "normal",
    });
    expect(status).toBe(202);
    expect(body).toEqual({
      id: expect.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
      workflow: "greet",
      version: 1,
      status: "queued",
      durability: expect.stringMatching(/^(memory|disk)$/),
      links: {
        self: `/v1/runs/${body.id}`,
        events: `/v1/runs/${body.id}/events`,
        cancel: `/v1/runs/${body.id}/cancel`,
      },
    });
    expect(headers.get("location")).toBe(body.links.self);
    expect(headers.get("x-request-id")).toMatch(/./);
    expect(await ended(body.id)).toMatchObject({
      id: body.id,
      status: "completed",
      input: { name: "Ada" },
      output: { text: "Hello Ada" },
      metadata: { ticket: 7 },
      steps: { hello: { status: "completed", attempt: 1 } },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
  });

  test("is listed, newest first, page by page", async () => {
    const ids: string[] = [];
    for (const name of ["a", "b", "c"]) ids.unshift((await start("fragile", { name })).body.id);
    await Promise.all(ids.map(ended));
    const first = await gateway.call("GET", "/v1/runs?workflow=fragile&status=completed&limit=2");
    expect(first.body.data.map((each: { id: string }) => each.id)).toEqual(ids.slice(0, 2));
    const second = await gateway.call(
      "GET",
      `/v1/runs?workflow=fragile&status=completed&limit=2&cursor=${first.body.next}`,
    );
    expect(second.body.data.map((each: { id: string }) => each.id)).toEqual(ids.slice(2));
    expect(second.body).not.toHaveProperty("next");
  });

  test("is cancelled, also twice, but not once it has ended", async () => {
    const { id } = (await start("held", {})).body;
    const cancelled = await gateway.call("POST", `/v1/runs/${id}/cancel`);
    expect(cancelled).toMatchObject({ status: 202, body: { id } });
    expect(await ended(id)).toMatchObject({ status: "cancelled" });
    expect((await gateway.call("POST", `/v1/runs/${id}/cancel`)).status).toBe(202);
    const other = (await start("greet", { name: "b" })).body.id;
    await ended(other);
    expect(await gateway.call("POST", `/v1/runs/${other}/cancel`)).toMatchObject({
      status: 409,
      body: { type: "urn:millrace:problem:run-ended" },
    });
  });
});

describe("deleting a run", () => {
  test("removes an ended one for good, and refuses a live one", async () => {
    const { id } = (await start("greet", { name: "Ada" })).body;
    await ended(id);
    expect(await gateway.call("DELETE", `/v1/runs/${id}`)).toMatchObject({ status: 204, body: "" });
    for (const [method, path] of [
      ["GET", `/v1/runs/${id}`],
      ["DELETE", `/v1/runs/${id}`],
      ["GET", `/v1/runs/${id}/events`],
    ] as const)
      expect((await gateway.call(method, path)).status).toBe(404);

    const live = (await start("held", {})).body.id;
    expect(await gateway.call("DELETE", `/v1/runs/${live}`)).toMatchObject({
      status: 409,
      body: { type: "urn:millrace:problem:run-live" },
    });
    gates.open(live);
    await ended(live);
    expect((await gateway.call("DELETE", `/v1/runs/${live}`)).status).toBe(204);
  });
});

describe("an Idempotency-Key", () => {
  test("gives one run to the same call made often at once", async () => {
    const headers = { "Idempotency-Key": "often" };
    const answers = await Promise.all(Array.from({ length: 50 }, () => start("greet", { name: "once" }, headers)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    await ended(answers[0]!.body.id);
  });

  test("with another body, or another workflow, is refused", async () => {
    const headers = { "Idempotency-Key": "k 2" };
    const { id } = (await start("greet", { name: "a" }, headers)).body;
    for (const answer of [await start("greet", { name: "b" }, headers), await start("fragile", { name: "a" }, headers)])
      expect(answer).toMatchObject({ status: 422, body: { type: "urn:millrace:problem:idempotency-mismatch" } });
    await ended(id);
  });

  test.each([
    ["empty", ""],
    ["of 256 characters", "x".repeat(256)],
    ["not ASCII", "cl\u00e9"],
  ])("that is %s is refused", async (_, key) => {
    expect((await start("greet", { name: "a" }, { "Idempotency-Key": key })).status).toBe(400);
  });
});

describe("what failed for good", () => {
  const letters = async () => (await gateway.call("GET", "/v1/dead-letters?workflow=fragile&step=try")).body.data;
  const failed = async (name: string) => {
    broken.add(name);
    const { id } = (await start("fragile", { name })).body;
    expect(await ended(id)).toMatchObject({ status: "failed", error: { message: `${name} is broken` } });
    return id as string;
  };

  test("is listed, and goes on from its step when it is replayed", async () => {
    const id = await failed("one");
    const [letter] = await letters();
    expect(letter).toMatchObject({ run: id, workflow: "fragile", step: "try", error: { message: "one is broken" } });
    broken.delete("one");
    const replayed = await gateway.call("POST", `/v1/dead-letters/${letter.id}/replay`);
    expect(replayed).toMatchObject({ status: 202, body: { id: letter.id, run: id, step: "try" } });
    expect(replayed.headers.get("location")).toBe(`/v1/runs/${id}`);
    expect(
      await eventually(
        () => run(id),
        ({ status }) => status === "completed",
      ),
    ).toMatchObject({ output: "one" });
    expect(await letters()).toEqual([]);
    expect((await gateway.call("POST", `/v1/dead-letters/${letter.id}/replay`)).status).toBe(404);
  });

  test("can be dropped", async () => {
    await failed("two");
    const [letter] = await letters();
    expect(await gateway.call("DELETE", `/v1/dead-letters/${letter.id}`)).toMatchObject({ status: 204, body: "" });
    expect(await letters()).toEqual([]);
    expect((await gateway.call("DELETE", `/v1/dead-letters/${letter.id}`)).status).toBe(404);
  });

  test("is shown with its input, its stack and the attempts before; in the list without a stack", async () => {
    await failed("seen");
    const [letter] = await letters();
    expect(letter.error).not.toHaveProperty("stack");
    const shown = await gateway.call("GET", `/v1/dead-letters/${letter.id}`);
    expect(shown).toMatchObject({
      status: 200,
      body: {
        ...{ id: letter.id, step: "try", attempt: 1, input: { name: "seen" } },
        error: { message: "seen is broken", code: "fatal", stack: expect.stringMatching(/seen is broken/) },
        history: [{ attempt: 1, error: letter.error }],
      },
    });
    // The event is told in the script that adds the entry, which reads the clock again.
    const laterMs = Date.parse(letter.at) - Date.parse(shown.body.history[0].at);
    expect([laterMs >= 0, laterMs < 1_000]).toEqual([true, true]);
    expect((await gateway.call("GET", "/v1/dead-letters/none")).status).toBe(404);
    await gateway.call("DELETE", `/v1/dead-letters/${letter.id}`);
  });

  test("goes on with another input, if that fits", async () => {
    const id = await failed("typo");
    const [letter] = await letters();
    const replay = (body: unknown) => gateway.call("POST", `/v1/dead-letters/${letter.id}/replay`, body);
    expect(await replay({ input: { nome: 1 } })).toMatchObject({ status: 422, body: { errors: [{ path: ["name"] }] } });
    expect(await replay({ inputs: {} })).toMatchObject({ status: 422 });
    expect(await replay({ input: { name: "mended" } })).toMatchObject({ status: 202 });
    expect(
      await eventually(
        () => run(id),
        ({ status }) => status === "completed",
      ),
    ).toMatchObject({ output: "mended", input: { name: "typo" } });
  });

  test("is replayed and dropped by filter", async () => {
    const ids = [await failed("x"), await failed("y"), await failed("z")];
    const post = (what: string, body: unknown) => gateway.call("POST", `/v1/dead-letters/${what}`, body);
    expect(await post("replay", { workflow: "greet" })).toMatchObject({ status: 202, body: { matched: 0 } });
    expect(await post("discard", { errorCode: "fatal", limit: 1 })).toMatchObject({
      body: { kind: "discard", status: "done", matched: 1, done: 1 },
    });
    broken.clear();
    const { status, headers, body } = await post("replay", { workflow: "fragile", after: "2020-01-01T00:00:00.000Z" });
    expect([status, body]).toEqual([
      202,
      {
        ...{ id: expect.any(String), kind: "replay", status: "done", matched: 2, done: 2 },
        ...{ createdAt: expect.stringMatching(/Z$/), endedAt: expect.stringMatching(/Z$/) },
        links: { self: `/v1/dead-letters/operations/${body.id}` },
      },
    ]);
    expect(headers.get("location")).toBe(body.links.self);
    const { links: _, ...operation } = body;
    expect((await gateway.call("GET", headers.get("location")!)).body).toEqual(operation);
    expect((await gateway.call("GET", "/v1/dead-letters/operations/none")).status).toBe(404);
    for (const id of ids.slice(0, 2))
      await eventually(
        () => run(id),
        ({ status }) => status === "completed",
      );
    expect(await run(ids[2]!)).toMatchObject({ status: "failed" });
  });

  test.each([
    ["GET", "/v1/dead-letters?before=yesterday", undefined],
    ["POST", "/v1/dead-letters/replay", { after: "2026-99-01T00:00:00.000Z" }],
    ["POST", "/v1/dead-letters/replay", { limit: 0 }],
    ["POST", "/v1/dead-letters/discard", { error: "x" }],
  ])("%s %s with what it does not take is refused", async (method, path, body) => {
    expect(await gateway.call(method, path, body)).toMatchObject({ status: 422 });
  });
});

describe("a run again", () => {
  test("from a step, perhaps with another input, is a new run", async () => {
    const { id } = (await start("held", {})).body;
    gates.open(id);
    await ended(id);
    const rerun = (body: unknown, headers = {}) => gateway.call("POST", `/v1/runs/${id}/rerun`, body, headers);
    const headers = { "Idempotency-Key": "again" };
    const again = await rerun({ from: "done" }, headers);
    expect(again).toMatchObject({ status: 202, body: { workflow: "held", version: 1, status: "queued" } });
    expect(again.headers.get("location")).toBe(`/v1/runs/${again.body.id}`);
    expect(await ended(again.body.id)).toMatchObject({
      status: "completed",
      output: "done",
      metadata: { rerunOf: id },
    });
    expect((await rerun({ from: "done" }, headers)).body.id).toBe(again.body.id);
    expect((await rerun({ from: "wait" }, headers)).status).toBe(422);
    expect(await rerun({ from: "none" })).toMatchObject({ status: 422, body: { errors: [{ path: ["from"] }] } });
    expect(await rerun({})).toMatchObject({ status: 422 });
    expect((await gateway.call("POST", "/v1/runs/none/rerun", { from: "done" })).status).toBe(404);
  });

  test("is refused while it is live", async () => {
    const { id } = (await start("held", {})).body;
    expect(await gateway.call("POST", `/v1/runs/${id}/rerun`, { from: "wait" })).toMatchObject({
      status: 409,
      body: { type: "urn:millrace:problem:run-live" },
    });
    gates.open(id);
    await ended(id);
  });
});

test("queues are shown, a row for each step", async () => {
  const { id } = (await start("held", {})).body;
  const queues = await eventually(
    async () => (await gateway.call("GET", "/v1/queues")).body.data,
    (rows) => rows.some((row: { step: string; inFlight: number }) => row.step === "wait" && row.inFlight === 1),
  );
  expect(queues).toContainEqual({
    ...{ workflow: "greet", version: 1, step: "hello", depth: 0, inFlight: 0, delayed: 0, dead: 0, oldestAgeMs: 0 },
    ...{ limited: 0, workers: 1 },
    paused: false,
  });
  gates.open(id);
  await ended(id);
});

test("health", async () => {
  expect(await gateway.call("GET", "/livez")).toMatchObject({ status: 200 });
  const { status, body } = await gateway.call("GET", "/readyz");
  // On a cluster whose slots move reads fail now and then, and are tried again.
  const readerErrors = expect.any(Object);
  expect([status, body]).toEqual([200, { status: "ok", workers: { alive: 1, silent: 0 } }]);
  const [worker, ...others] = (await gateway.call("GET", "/v1/workers")).body.data;
  expect(worker).toMatchObject({ id: expect.any(String), alive: true, readerErrors });
  expect([worker.seenAgoMs < 10_000, worker.silentMs < 10_000, others]).toEqual([true, true, []]);
});
