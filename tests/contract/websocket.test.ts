import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestSocket } from "../support/live-clients.ts";

const { workflows, gates } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({
    workflows,
    limits: { socketBufferBytes: 200_000, stallMs: 300, messageBytes: 1_000, subscriptions: 3 },
  });
});
afterAll(() => gateway.close());
// Whatever became of a socket, nobody listens for it any more.
afterEach(async () => {
  await eventually(gateway.watched, (channels) => channels.length === 0);
});

const start = async (workflow: string, input: unknown): Promise<string> =>
  (await gateway.call("POST", `/v1/workflows/${workflow}/runs`, { input })).body.id;
const open = (run: string, query = "") => new TestSocket(`${gateway.url}/v1/runs/${run}/events${query}`);
const numbers = (socket: TestSocket) => socket.messages.map(({ seq }) => seq);
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, i) => from + i);
const OVER = { code: 1000, reason: "the run has ended" };

async function live(): Promise<TestSocket> {
  const socket = new TestSocket(`${gateway.url}/v1/live`);
  await socket.opened;
  return socket;
}

describe("a run's events over a socket", () => {
  test("come as they happen, and end with the run", async () => {
    const run = await start("held", {});
    const socket = open(run);
    await socket.ofType("step.output");
    gates.open(run);
    expect(await socket.closed).toEqual(OVER);
    expect(numbers(socket)).toEqual(upTo(9));
    expect(socket.messages[0]).toEqual({
      ...{ seq: 1, cursor: expect.stringMatching(/^1-[0-9a-z]+$/), run, type: "run.queued" },
      at: expect.stringMatching(/Z$/),
    });
  });

  test("come whole to one who is late, and to many at once", async () => {
    const run = await start("greet", { name: "late" });
    const sockets = Array.from({ length: 20 }, () => open(run));
    for (const socket of sockets) {
      expect(await socket.closed).toEqual(OVER);
      expect(socket.messages).toEqual(sockets[0]!.messages);
    }
    expect(sockets[0]!.messages.at(-1).type).toBe("run.completed");
  });

  test("go on after a cut, each once", async () => {
    const run = await start("held", {});
    const first = open(run);
    const { cursor, seq } = await first.ofType("step.output");
    first.socket.terminate();
    // Although nothing happens that it could notice.
    await eventually(gateway.watched, (channels) => channels.length === 0);
    gates.open(run);
    const second = open(run, `?after=${cursor}`);
    expect(await second.closed).toEqual(OVER);
    expect([...upTo(seq), ...numbers(second)]).toEqual(upTo(9));
    const nothing = open(run, "?after=9");
    expect(await nothing.closed).toEqual(OVER);
    expect(nothing.messages).toEqual([]);
  });

  test("are refused before the socket opens", async () => {
    expect(await open("unknown").refused).toBe(404);
    expect(await open("a%20b").refused).toBe(404);
    const run = await start("greet", { name: "a" });
    expect(await open(run, "?after=x").refused).toBe(422);
    expect((await gateway.call("GET", "/v1/live")).status).toBe(426);
  });

  test("a client that says something that it cannot do is told so", async () => {
    const run = await start("held", {});
    const socket = open(run);
    await socket.opened;
    socket.send("hello");
    expect(await socket.ofType("error")).toMatchObject({ problem: { status: 400 } });
    gates.open(run);
    expect(await socket.closed).toEqual(OVER);
  });
});

describe("a client that does not read", () => {
  test("is closed with the cursor to go on from", async () => {
    // Twelve megabytes, of which the operating system takes a part.
    const run = await start("noisy", { events: 1_200 });
    const slow = open(run);
    await slow.opened;
    slow.pause();
    gates.open(run);
    await eventually(gateway.watched, (channels) => channels.length === 1);
    await eventually(gateway.watched, (channels) => channels.length === 0);
    slow.socket.resume();
    const { code, reason } = await slow.closed;
    expect(code).toBe(1013);
    const last = slow.messages.at(-1);
    expect(last.type).toBe("step.output");
    expect(reason).toBe(`slow reader; resume ${run} after ${last.cursor}`);
    expect(numbers(slow)).toEqual(upTo(last.seq));
  });

  test("misses nothing by it", async () => {
    const socket = await live();
    const runs = await Promise.all([1, 2, 3].map(() => start("noisy", { events: 360 })));
    for (const run of runs) socket.send({ type: "subscribe", run });
    for (const run of runs) await socket.first((message) => message.run === run);
    socket.pause();
    for (const run of runs) gates.open(run);
    await eventually(gateway.watched, (channels) => channels.length === 0);
    socket.socket.resume();
    expect((await socket.closed).code).toBe(1013);
    for (const run of runs) {
      const before = socket.messages.filter((message) => message.run === run);
      const rest = open(run, `?after=${before.at(-1).cursor}`);
      expect(await rest.closed).toEqual(OVER);
      const all = [...before, ...rest.messages];
      expect(all.map(({ seq }) => seq)).toEqual(upTo(all.length));
      expect(all.at(-1)).toMatchObject({ type: "run.completed" });
    }
  });

  test("but only pauses is waited for", async () => {
    const patient = await startGateway({ workflows });
    const status = async (run: string) => (await patient.call("GET", `/v1/runs/${run}`)).body.status;
    const socket = new TestSocket(`${patient.url}/v1/live`);
    await socket.opened;
    const runs: string[] = [];
    for (let i = 0; i < 3; i++)
      runs.push((await patient.call("POST", "/v1/workflows/noisy/runs", { input: { events: 360 } })).body.id);
    for (const run of runs) socket.send({ type: "subscribe", run });
    for (const run of runs) await socket.first((message) => message.run === run);
    socket.pause();
    for (const run of runs) gates.open(run);
    for (const run of runs)
      await eventually(
        () => status(run),
        (status) => status === "completed",
      );
    socket.socket.resume();
    for (const run of runs) {
      const last = await socket.first((message) => message.run === run && message.type === "run.completed");
      const mine = socket.messages.filter((message) => message.run === run);
      expect(mine.map(({ seq }) => seq)).toEqual(upTo(last.seq));
    }
    socket.socket.close();
    await socket.closed;
    await patient.close();
  });
});

describe("many runs over one socket", () => {
  test("come mixed, each complete and in order", async () => {
    const socket = await live();
    const runs = [await start("held", {}), await start("held", {})];
    for (const run of runs) socket.send({ type: "subscribe", run });
    for (const run of runs) await socket.first((message) => message.run === run && message.type === "step.output");
    for (const run of runs) gates.open(run);
    for (const run of runs) {
      await socket.first((message) => message.run === run && message.type === "run.completed");
      const mine = socket.messages.filter((message) => message.run === run);
      expect(mine.map(({ seq }) => seq)).toEqual(upTo(9));
    }
    socket.socket.close();
    await socket.closed;
  });

  test("begin after a number or a cursor, and stop when they are no longer wanted", async () => {
    const socket = await live();
    const run = await start("held", {});
    // A number that the log has not reached yet would be answered with a reset.
    const early = open(run);
    await early.ofType("step.output");
    early.socket.close();
    socket.send({ type: "subscribe", run, after: 2 });
    const { cursor } = await socket.ofType("step.output");
    expect(numbers(socket)).toEqual([3, 4]);
    socket.send({ type: "unsubscribe", run });
    await eventually(gateway.watched, (channels) => channels.length === 0);
    gates.open(run);
    socket.send({ type: "subscribe", run, after: cursor });
    await socket.ofType("run.completed");
    expect(numbers(socket)).toEqual(upTo(9, 3));
    socket.socket.close();
    await socket.closed;
  });

  test.each([
    ["no JSON", "{", 400],
    ["binary", Uint8Array.of(123, 125), 400],
    ["deep", `{"type":${"[".repeat(70)}${"]".repeat(70)}}`, 400],
    ["of an unknown type", { type: "shout" }, 422],
    ["without a run", { type: "subscribe" }, 422],
    ["with a field too many", { type: "unsubscribe", run: "a", after: 1 }, 422],
    ["with a cursor that is none", { type: "subscribe", run: "a", after: "x" }, 422],
    ["with an odd id", { type: "subscribe", run: "../a" }, 404],
    ["with an unknown run", { type: "subscribe", run: "unknown" }, 404],
  ])("a message that is %s is answered, and the socket goes on", async (_, message, status) => {
    const socket = await live();
    socket.send(message);
    expect(await socket.ofType("error")).toMatchObject({ problem: { status, title: expect.stringMatching(/./) } });
    const run = await start("greet", { name: "on" });
    socket.send({ type: "subscribe", run });
    await socket.ofType("run.completed");
    socket.socket.close();
    await socket.closed;
  });

  test("are at most so many, and each once", async () => {
    const socket = await live();
    const runs = await Promise.all([1, 2, 3, 4].map(() => start("held", {})));
    for (const run of [...runs, runs[0]!]) socket.send({ type: "subscribe", run });
    const refused = (run: string | undefined) =>
      socket.first((message) => message.type === "error" && message.problem.run === run);
    expect(await refused(runs[3])).toMatchObject({ problem: { type: "urn:millrace:problem:too-many-subscriptions" } });
    expect(await refused(runs[0])).toMatchObject({ problem: { type: "urn:millrace:problem:subscribed" } });
    // The place of a run that has ended is free again.
    gates.open(runs[0]!);
    await socket.ofType("run.completed");
    socket.send({ type: "subscribe", run: runs[3] });
    await socket.first((message) => message.run === runs[3]);
    socket.socket.terminate();
    // Although nothing happens that it could notice.
    await eventually(gateway.watched, (channels) => channels.length === 0);
    for (const run of runs) gates.open(run);
  });

  test("answers a client that asks whether it is there, and says of which run it was asked what cannot be", async () => {
    const socket = await live();
    socket.send({ type: "ping" });
    await socket.ofType("pong");
    socket.send({ type: "subscribe", run: "a b" });
    expect(await socket.ofType("error")).toMatchObject({ problem: { status: 404, run: "a b" } });
    socket.socket.terminate();
    const run = await start("held", {});
    const ofRun = open(run);
    await ofRun.opened;
    ofRun.send({ type: "ping" });
    await ofRun.ofType("pong");
    gates.open(run);
    await ofRun.closed;
  });

  test("a message that is too large closes the socket", async () => {
    const socket = await live();
    socket.send("x".repeat(1_001));
    expect(await socket.closed).toEqual({ code: 1009, reason: "a message has 1000 bytes at the most" });
    const other = await live();
    other.send("x".repeat(1_000_000));
    expect((await other.closed).code).toBe(1009);
  });
});
