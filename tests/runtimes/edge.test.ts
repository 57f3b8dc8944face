import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, type Millrace } from "../../engine/index.ts";
import { answerOf } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestSocket, TestStream } from "../support/live-clients.ts";
import { missing } from "../support/process.ts";
import { freshNamespace, rawRedis, redisUrl } from "../support/redis.ts";
import { channelsLike, connectionsNamed } from "../support/redis-client.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";
import { type StartedWorkerd, startWorkerd } from "../support/workerd.ts";

const WORKER = "tests/support/programs/edge-entry.ts";
const { workflows } = gatewayWorkflows();

describe.skipIf(missing("workerd"))("the gateway on workerd", () => {
  const namespace = freshNamespace();
  let gateway: StartedWorkerd;
  /** Another process that the gateway shares its Redis with. */
  let millrace: Millrace;
  beforeAll(async () => {
    const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: "redis:" };
    gateway = await startWorkerd(WORKER, env);
    millrace = await connect({ url: redisUrl, namespace, workflows });
  });
  afterAll(async () => {
    await millrace?.close();
    await gateway?.stop();
  });

  const get = async (path: string, headers: Record<string, string> = {}) =>
    answerOf(await fetch(gateway.url + path, { headers }));
  const start = async (url = gateway.url) => {
    const body = JSON.stringify({ input: {} });
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body };
    return (await answerOf(await fetch(`${url}/v1/workflows/held/runs`, init))).body.id as string;
  };

  test("answers 500 requests over one connection to Redis, beside that of blobs", async () => {
    const run = await start();
    for (let i = 0; i < 20; i += 1) {
      const answers = await Promise.all(Array.from({ length: 25 }, () => get(`/v1/runs/${run}`)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    const lines = await connectionsNamed(rawRedis(), new RegExp(`^millrace:${namespace}`));
    const names = lines.map(({ line }) => / name=\S*?(:blobs|:subscriber)? /.exec(line)?.[1] ?? "calls").sort();
    // The second one of calls, with its subscriber, is this test's own.
    expect(names.filter((name) => name !== ":subscriber")).toEqual([":blobs", "calls", "calls"]);
  });

  test("feeds 200 sockets of four runs from one subscription each, over one connection", async () => {
    const runs = await Promise.all([start(), start(), start(), start()]);
    const sockets = Array.from(
      { length: 200 },
      (_, i) => new TestSocket(`${gateway.url}/v1/runs/${runs[i % 4]}/events`),
    );
    await Promise.all(sockets.map((socket) => socket.ofType("run.queued")));
    const redis = rawRedis();
    const channels = await channelsLike(redis, `{${namespace}:*}:run:*`);
    expect(channels).toHaveLength(4);
    const counts = (await redis.call("PUBSUB", "NUMSUB", ...channels)) as (string | number)[];
    expect(counts.filter((_, i) => i % 2 === 1).map(Number)).toEqual([1, 1, 1, 1]);
    const subscribers = await connectionsNamed(redis, new RegExp(`^millrace:${namespace}:subscriber$`));
    const hearing = subscribers.filter(({ line }) => Number(/ sub=(\d+)/.exec(line)?.[1]) >= 4);
    expect(hearing).toHaveLength(1);
    await Promise.all(runs.map((run) => millrace.runs.cancel(run)));
    for (const socket of sockets) {
      expect(await socket.closed).toEqual({ code: 1000, reason: "the run has ended" });
      expect(socket.messages.map(({ seq, type }) => [seq, type])).toEqual([
        [1, "run.queued"],
        [2, "run.cancelled"],
      ]);
    }
    await expect.poll(() => channelsLike(redis, `{${namespace}:*}:run:*`)).toEqual([]);
  });

  test("keeps a document in Redis, and gives ranges of it", async () => {
    const bytes = Uint8Array.from({ length: 700_000 }, (_, i) => i % 251);
    const sent = await fetch(`${gateway.url}/v1/documents?name=a.bin`, { method: "POST", body: bytes });
    const { body: document } = await answerOf(sent);
    expect([sent.status, document.size]).toEqual([201, bytes.byteLength]);
    const range = async (value: string) =>
      fetch(`${gateway.url}/v1/documents/${document.id}`, { headers: { Range: value } });
    const part = await range("bytes=262000-525000");
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 262000-525000/700000"]);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(bytes.slice(262_000, 525_001));
    expect((await (await range("bytes=-10")).arrayBuffer()).byteLength).toBe(10);
    expect((await range("bytes=700000-")).status).toBe(416);
  });

  test("streams many runs, and takes that up again by the last id", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    const path = `${gateway.url}/v1/live?run=${one}&run=${two}`;
    const stream = await TestStream.open(path);
    await expect.poll(() => stream.messages.length).toBe(2);
    stream.cut();
    await stream.ended;
    await Promise.all([millrace.runs.cancel(one), millrace.runs.cancel(two)]);
    const rest = await TestStream.open(path, { headers: { "Last-Event-ID": stream.frames.at(-1)!.id } });
    await rest.ended;
    expect(rest.messages.map(({ seq, type }) => [seq, type])).toEqual([
      [2, "run.cancelled"],
      [2, "run.cancelled"],
    ]);
  });

  test("lets go of watchers that leave, of a stream with its next heartbeat", async () => {
    const run = await start();
    const stream = await TestStream.open(`${gateway.url}/v1/runs/${run}/events`);
    const socket = new TestSocket(`${gateway.url}/v1/runs/${run}/events`);
    await Promise.all([stream.ofType("run.queued"), socket.ofType("run.queued")]);
    const channels = () => channelsLike(rawRedis(), `{${namespace}:*}:run:*`);
    expect(await channels()).toHaveLength(1);
    stream.cut();
    socket.socket.terminate();
    await stream.ended;
    await expect.poll(channels).toEqual([]);
  });

  test("goes on with its sockets, without a gap, when Redis has been away", async () => {
    await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
    const env = { REDIS_URL: redis.url, MILLRACE_BLOBS: "redis:" };
    const own = await startWorkerd(WORKER, env);
    try {
      const run = await start(own.url);
      const sockets = Array.from({ length: 3 }, () => new TestSocket(`${own.url}/v1/runs/${run}/events`));
      await Promise.all(sockets.map((socket) => socket.ofType("run.queued")));
      await redis.kill();
      await Promise.all(sockets.map((socket) => socket.ofType("disconnected")));
      await redis.start();
      await Promise.all(sockets.map((socket) => socket.ofType("connected")));
      expect((await fetch(`${own.url}/v1/runs/${run}/cancel`, { method: "POST" })).status).toBe(202);
      for (const socket of sockets) {
        expect(await socket.closed).toEqual({ code: 1000, reason: "the run has ended" });
        expect(socket.messages.flatMap(({ seq }) => seq ?? [])).toEqual([1, 2]);
      }
    } finally {
      await own.stop();
    }
  });
});
