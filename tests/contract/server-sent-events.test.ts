import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestStream } from "../support/live-clients.ts";

const { workflows, gates } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, limits: { heartbeatMs: 50, stallMs: 300 } });
});
afterAll(() => gateway.close());
// Whatever became of a stream, nobody listens for it any more.
afterEach(async () => {
  await eventually(gateway.watched, (channels) => channels.length === 0);
});

const start = async (workflow: string, input: unknown): Promise<string> =>
  (await gateway.call("POST", `/v1/workflows/${workflow}/runs`, { input })).body.id;
const open = (run: string, query = "", headers: Record<string, string> = {}) =>
  TestStream.open(`${gateway.url}/v1/runs/${run}/events${query}`, { headers });
const numbers = (stream: TestStream) => stream.messages.map(({ seq }) => seq);
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, i) => from + i);

describe("a run's events as Server-Sent Events", () => {
  test("come as they happen, each with its cursor and type", async () => {
    const run = await start("held", {});
    const stream = await open(run);
    expect(Object.fromEntries(stream.headers)).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store",
    });
    await stream.ofType("step.output");
    gates.open(run);
    await stream.ended;
    expect(numbers(stream)).toEqual(upTo(stream.messages.length));
    expect(stream.frames).toEqual(stream.messages.map(({ cursor, type }) => ({ id: cursor, event: type })));
    expect(stream.messages.map(({ type }) => type)).toEqual([
      ...["run.queued", "run.started", "step.started", "step.output", "step.output", "step.completed"],
      ...["step.started", "step.completed", "run.completed"],
    ]);
  });

  test("come whole to one who is late", async () => {
    const run = await start("greet", { name: "late" });
    await (await open(run)).ended;
    const late = await open(run);
    await late.ended;
    expect(late.messages.at(-1)).toMatchObject({ type: "run.completed", seq: late.messages.length });
    expect(numbers(late)).toEqual(upTo(late.messages.length));
  });

  test("go on after a cut, by the last cursor, which goes before the URL's", async () => {
    const run = await start("held", {});
    const first = await open(run, "?after=0");
    const { cursor, seq } = await first.ofType("step.output");
    first.cut();
    await first.ended;
    // Although nothing happens that it could notice.
    await eventually(gateway.watched, (channels) => channels.length === 0);
    gates.open(run);
    const second = await open(run, "?after=0", { "Last-Event-ID": cursor });
    await second.ended;
    expect(numbers(second)).toEqual(upTo(second.messages.at(-1).seq, seq + 1));
    const third = await open(run, `?after=${seq}`);
    await third.ended;
    expect(third.messages).toEqual(second.messages);
  });

  test("end with 204 for who has seen all, so that a browser does not come back", async () => {
    const run = await start("greet", { name: "done" });
    const stream = await open(run);
    await stream.ended;
    expect((await open(run, "", { "Last-Event-ID": stream.messages.at(-1).cursor })).status).toBe(204);
  });

  test("begin anew from a snapshot where the cursor is of another log", async () => {
    const run = await start("greet", { name: "reset" });
    await (await open(run)).ended;
    const stream = await open(run, "?after=2-zzz");
    await stream.ended;
    expect(stream.messages).toEqual([
      {
        type: "reset",
        run,
        seq: expect.any(Number),
        snapshot: expect.objectContaining({ id: run, status: "completed" }),
      },
    ]);
    expect(stream.frames).toEqual([{ id: String(stream.messages[0].seq), event: "reset" }]);
  });

  test("carry comments while nothing happens", async () => {
    const run = await start("held", {});
    const stream = await open(run);
    await stream.ofType("step.output");
    await eventually(
      async () => stream.comments.length,
      (count) => count > 3,
    );
    stream.cut();
    gates.open(run);
    await stream.ended;
  });

  test("are refused for a cursor that is none", async () => {
    const run = await start("greet", { name: "cursor" });
    for (const [query, headers] of [
      ["?after=x", {}],
      ["?after=-1", {}],
      ["", { "Last-Event-ID": "1 2" }],
    ] as const)
      expect((await open(run, query, { ...headers })).status).toBe(422);
    expect((await gateway.call("GET", "/v1/runs/unknown/events")).status).toBe(404);
  });

  test("asked for by HEAD leave no watcher", async () => {
    const run = await start("held", {});
    expect((await gateway.call("HEAD", `/v1/runs/${run}/events`)).status).toBe(200);
    expect(await gateway.watched()).toEqual([]);
    gates.open(run);
  });
});

test("a client that does not read its events is let go of", async () => {
  // Twelve megabytes, of which the operating system takes a part.
  const run = await start("noisy", { events: 1_200 });
  const reader = connect(gateway.port, "127.0.0.1");
  reader.pause().on("error", () => {});
  reader.write(`GET /v1/runs/${run}/events HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await eventually(gateway.watched, (channels) => channels.length === 1);
  gates.open(run);
  await eventually(gateway.watched, (channels) => channels.length === 0);
  let got = "";
  reader.on("data", (data) => {
    got += data;
  });
  await new Promise<void>((resolve) => reader.once("close", () => resolve()).resume());
  expect(got).toContain("HTTP/1.1 200 OK");
  expect(got).not.toContain("run.completed");
});
