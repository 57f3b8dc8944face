import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Caller, type Door, FOR_EVER } from "../../../gateway/access/caller.ts";
import { eventually, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { TestSocket, TestStream } from "../../support/live-clients.ts";
import { rawRedis } from "../../support/redis.ts";
import { restartableRedis } from "../../support/restartable-redis.ts";

const { workflows, gates } = gatewayWorkflows();
/** Who the next caller is, beside what everybody is. */
let as: Partial<Caller> = {};
const anybody = { tenant: "default", name: "test", may: () => true, seesAll: true, mayWatch: () => true };
const door: Door = { admit: async () => ({ ...anybody, hold: FOR_EVER, ...as }) };
let gateway: TestGateway;
/** How many hold on to a caller who may be put out. */
let held = 0;
const holding = ({ signal }: AbortController) => {
  held += 1;
  const release = () => {
    held -= 1;
  };
  return { signal, release };
};
const open: { socket: TestSocket | undefined; stream: TestStream | undefined }[] = [];

beforeAll(async () => {
  const limits = { socketBufferBytes: 200_000, stallMs: 2_000, heartbeatMs: 50 };
  gateway = await startGateway({ workflows, door, limits });
});
afterAll(() => gateway.close());
afterEach(async () => {
  as = {};
  for (const { socket, stream } of open.splice(0)) {
    socket?.socket.terminate();
    stream?.cut();
    await Promise.all([socket?.closed, stream?.ended]);
  }
  await eventually(gateway.watched, (channels) => channels.length === 0);
  expect(held).toBe(0);
});

const start = async (workflow: string, input: unknown): Promise<string> =>
  (await gateway.call("POST", `/v1/workflows/${workflow}/runs`, { input })).body.id;

async function live(...subscriptions: object[]): Promise<TestSocket> {
  const socket = new TestSocket(`${gateway.url}/v1/live`);
  open.push({ socket, stream: undefined });
  await socket.opened;
  for (const subscription of subscriptions) socket.send({ type: "subscribe", ...subscription });
  return socket;
}

async function stream(query: string, headers: Record<string, string> = {}): Promise<TestStream> {
  const opened = await TestStream.open(`${gateway.url}/v1/live?${query}`, { headers });
  open.push({ socket: undefined, stream: opened });
  return opened;
}

const ended = (run: string) => (message: { run?: string; type: string }) =>
  message.run === run && message.type === "run.completed";
const numbers = (from: TestSocket | TestStream, run: string) =>
  from.messages.filter((message) => message.run === run).map(({ seq }) => seq);
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe("over one socket", () => {
  test("a workflow's runs come as they start, and all runs beside a single one", async () => {
    const socket = await live({ workflow: "held" });
    const all = await live({ all: true });
    expect(await socket.ofType("cursor")).toMatchObject({ workflow: "held" });
    expect(await all.ofType("cursor")).toMatchObject({ all: true });
    const [held, greet] = [await start("held", {}), await start("greet", { name: "a" })];
    gates.open(held);
    await all.first(ended(held));
    await all.first(ended(greet));
    await socket.first(ended(held));
    expect(numbers(socket, held)).toEqual(upTo(9));
    expect(numbers(all, held)).toEqual(upTo(9));
    expect(numbers(socket, greet)).toEqual([]);
    expect(all.messages.find(({ run }) => run === greet)).toMatchObject({ workflow: "greet", type: "run.queued" });
  });

  test("a stream goes on after its cursor, or begins with what is live", async () => {
    const first = await live({ all: true });
    const { cursor } = await first.ofType("cursor");
    first.socket.terminate();
    const run = await start("held", {});
    const second = await live({ all: true, after: cursor });
    await second.first((message) => message.run === run && message.type === "step.output");
    const third = await live({ workflow: "held", snapshot: true });
    expect(await third.ofType("reset")).toMatchObject({ workflow: "held", runs: [{ id: run }], more: false });
    second.send({ type: "unsubscribe", all: true });
    gates.open(run);
    await third.first(ended(run));
    expect(numbers(third, run).at(-1)).toBe(9);
    expect(numbers(second, run)).not.toContain(9);
  });

  test.each([
    ["nothing", {}, 422],
    ["two things", { run: "a", all: true }, 422],
    ["no workflow's name", { workflow: "a b" }, 404],
    ["a cursor that is none", { all: true, after: "x" }, 422],
    ["all: false", { all: false }, 422],
  ])("a subscription to %s is refused", async (_, subscription, status) => {
    const socket = await live(subscription);
    expect(await socket.ofType("error")).toMatchObject({ problem: { status } });
  });

  test("who may watch some runs is told of these alone, and a revoked caller's socket is closed", async () => {
    const mine = await start("held", {});
    const other = await start("held", {});
    const revoked = new AbortController();
    as = { mayWatch: ({ id }) => id === mine, hold: () => holding(revoked) };
    const socket = await live({ all: true, snapshot: true }, { run: other }, { run: mine });
    expect(await socket.ofType("error")).toMatchObject({ problem: { status: 404, run: other } });
    expect((await socket.ofType("reset")).runs.map(({ id }: { id: string }) => id)).toEqual([mine]);
    gates.open(other);
    gates.open(mine);
    await socket.first(ended(mine));
    expect(numbers(socket, other)).toEqual([]);
    as = { tenant: "acme" };
    const foreign = await live({ run: mine });
    expect(await foreign.ofType("error")).toMatchObject({ problem: { status: 404, run: mine } });
    revoked.abort();
    expect(await socket.closed).toEqual({ code: 1008, reason: "the caller is no longer let in" });
  });

  test("a client that does not read is closed, and others are told all", async () => {
    const never = new AbortController();
    as = { hold: () => holding(never) };
    const [slow, quick] = [await live({ all: true }), await live({ all: true })];
    for (const socket of [slow, quick]) await socket.ofType("cursor");
    slow.pause();
    const runs = await Promise.all(Array.from({ length: 4 }, () => start("noisy", { events: 300 })));
    for (const run of runs) gates.open(run);
    for (const run of runs) await quick.first(ended(run));
    for (const run of runs) expect(numbers(quick, run)).toEqual(upTo(numbers(quick, run).at(-1)));
    // The server has given it up, which it does not see before it reads on.
    await expect.poll(() => held).toBe(1);
    slow.socket.resume();
    expect(await slow.closed).toEqual({ code: 1013, reason: "slow reader; resume after the last cursor" });
    const again = await live({ all: true, after: slow.messages.findLast(({ type }) => type === "cursor").cursor });
    // What came before its last cursor, as much as the buffers between have held, is not told again.
    for (const run of runs) if (!slow.messages.some(ended(run))) await again.first(ended(run));
    for (const run of runs) {
      const all = new Set([...numbers(slow, run), ...numbers(again, run)]);
      expect([...all].sort((a, b) => a - b)).toEqual(upTo(all.size));
    }
  });

  test("a client that answers no ping is cut off, and one that does is not", async () => {
    const mine = await startGateway({ workflows, pingMs: 200 });
    const url = `${mine.url}/v1/live`;
    const deaf = new WebSocket(url.replace("http", "ws"), { autoPong: false });
    const alive = new TestSocket(url);
    await alive.opened;
    const closed = new Promise((resolve) => deaf.once("close", resolve));
    let pings = 0;
    await new Promise<void>((resolve) => {
      alive.socket.on("ping", () => {
        pings += 1;
        if (pings > 4) resolve();
      });
    });
    expect(await closed).toBe(1006);
    expect(alive.socket.readyState).toBe(WebSocket.OPEN);
    await mine.close();
  });
});

describe("as Server-Sent Events", () => {
  test("several runs end together, and go on after the last id", async () => {
    const runs = [await start("held", {}), await start("held", {}), await start("greet", { name: "a" })];
    const query = runs.map((run) => `run=${run}`).join("&");
    const first = await stream(query);
    await first.first(ended(runs[2]!));
    for (const run of runs.slice(0, 2))
      await first.first((message) => message.run === run && message.type === "step.output");
    first.cut();
    await first.ended;
    for (const run of runs.slice(0, 2)) gates.open(run);
    const second = await stream(query, { "Last-Event-ID": first.frames.at(-1)!.id });
    await second.ended;
    for (const run of runs) {
      const all = [...numbers(first, run), ...numbers(second, run)];
      expect(all).toEqual(upTo(all.length));
    }
    expect((await stream(query, { "Last-Event-ID": second.frames.at(-1)!.id })).status).toBe(204);
  });

  test("a workflow's runs come with cursors as ids, beside a single run", async () => {
    const single = await start("held", {});
    const first = await stream(`workflow=greet&run=${single}`);
    await first.ofType("cursor");
    await first.first((message) => message.run === single && message.type === "step.output");
    const greet = await start("greet", { name: "a" });
    await first.first(ended(greet));
    first.cut();
    await first.ended;
    const between = await start("greet", { name: "b" });
    gates.open(single);
    const second = await stream(`workflow=greet&run=${single}`, {
      "Last-Event-ID": first.frames.findLast(({ id }) => id !== "")!.id,
    });
    await second.first(ended(between));
    await second.first(ended(single));
    expect(numbers(second, between)).toEqual(upTo(numbers(second, between).length));
    const all = [...numbers(first, single), ...numbers(second, single)];
    expect(all).toEqual(upTo(all.length));
  });

  test.each([
    ["run=unknown", {}, 404],
    ["run=a%20b", {}, 404],
    ["workflow=a%20b", {}, 422],
    ["all=yes", {}, 422],
    ["all=true&workflow=greet", {}, 422],
    ["all=true&all=true", {}, 422],
    [Array.from({ length: 51 }, (_, n) => `run=r${n}`).join("&"), {}, 422],
    ["all=true", { "Last-Event-ID": "x" }, 422],
    ["all=true", { "Last-Event-ID": "1,2" }, 422],
    ["", {}, 426],
  ] as const)("%s %j is refused", async (query, headers, status) => {
    expect((await stream(query, headers)).status).toBe(status);
  });

  test("a revoked caller's stream ends, and it comes without what the caller may not watch", async () => {
    const revoked = new AbortController();
    const mine = await start("held", {});
    as = { mayWatch: ({ workflow }) => workflow === "held", hold: () => holding(revoked) };
    const opened = await stream("all=true");
    await opened.ofType("cursor");
    await start("greet", { name: "a" });
    gates.open(mine);
    await opened.first(ended(mine));
    expect(new Set(opened.messages.map(({ workflow }) => workflow).filter((each) => each))).toEqual(new Set(["held"]));
    revoked.abort();
    await opened.ended;
  });
});

test("clients are told that the gateway has lost Redis, and that it is back, and of all that came meanwhile", async () => {
  await using redis = await restartableRedis();
  const mine = await startGateway({ workflows, url: redis.url });
  const run = (await mine.call("POST", "/v1/workflows/held/runs", { input: {} })).body.id;
  const socket = new TestSocket(`${mine.url}/v1/live`);
  await socket.opened;
  socket.send({ type: "subscribe", all: true });
  socket.send({ type: "subscribe", run });
  const events = await TestStream.open(`${mine.url}/v1/runs/${run}/events`);
  for (const each of [socket, events]) await each.ofType("step.output");
  await rawRedis(redis.url).call("CLIENT", "KILL", "TYPE", "pubsub");
  gates.open(run);
  await events.ofType("disconnected");
  await socket.ofType("disconnected");
  for (const each of [socket, events]) await each.first(ended(run));
  await socket.ofType("connected");
  expect(numbers(events, run)).toEqual(upTo(9));
  socket.socket.terminate();
  await Promise.all([socket.closed, events.ended]);
  await mine.close();
});
