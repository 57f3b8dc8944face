import { expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { connect, createWorker } from "../../engine/index.ts";
import { Random } from "../support/faults/random.ts";
import { newSeed, sized } from "../support/faults/settings.ts";
import { bytesOf, type FuzzReply, KeptConnections, sendBytes, statusesOf } from "../support/fuzz/client.ts";
import { randomForm } from "../support/fuzz/forms.ts";
import { frame, handshake, randomFrame } from "../support/fuzz/frames.ts";
import { garbled } from "../support/fuzz/odd.ts";
import { Remains } from "../support/fuzz/remains.ts";
import { type FuzzRequest, Requests } from "../support/fuzz/requests.ts";
import { fuzzedWorkflows } from "../support/fuzz/workflows.ts";
import { startProgram } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";

const TIMES = sized(1, 20);
const REQUESTS = 13_000 * TIMES;
const FORMS = 2_500 * TIMES;
const GARBLED = 2_500 * TIMES;
/** Each of several frames. */
const SOCKETS = 400 * TIMES;
const FRAMES = 5;
/** What goes before memory is first looked at: code that is compiled, and caches that are filled, stay. */
const WARM = 1_500;
const AT_ONCE = 24;
const MEMORY_BYTES = 64 * 1_048_576;

test(
  "whatever is sent, the gateway stands, answers, and keeps nothing of it",
  async () => {
    const seed = newSeed();
    console.log(`SEED=${seed}`);
    const [namespace, dir] = [freshNamespace(), await temporaryDir()];
    const millrace = await connect({
      url: redisUrl,
      namespace,
      workflows: fuzzedWorkflows,
      blobs: new FsBlobStore(dir),
    });
    const worker = createWorker(millrace, { env: {}, concurrency: 50 });
    await worker.start();
    const args = ["--expose-gc", `${ROOT}tests/support/programs/fuzzed.ts`, redisUrl, namespace, dir];
    const gateway = startProgram(process.execPath, args);
    const [, port = 0, control = 0] = (await gateway.line(/^listens on /)).match(/(\d+) (\d+)/)!.map(Number);
    const memory = async () => Number(await (await fetch(`http://127.0.0.1:${control}`)).text());
    const kept = new KeptConnections(port, AT_ONCE);
    const requests = new Requests(
      await (await fetch(`http://127.0.0.1:${port}/openapi.json`)).json(),
      new Random(seed),
    );
    const seeds = new Random(seed);
    const statuses = new Map<number, number>();
    const remains = new Remains(`http://127.0.0.1:${port}`, namespace, dir);
    const failures: string[] = [];

    function note(status: number, sent: string): void {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status >= 500 && status !== 503) failures.push(`${status} to ${sent}`);
    }
    /** What was made is asked for later, and to be gone at the end. */
    function learn(text: string): void {
      for (const [, id = ""] of text.matchAll(/"id":"([A-Za-z0-9_-]{1,64})"/g)) requests.learn(id);
      remains.learn(text);
    }
    const told = ({ method, path, headers, body }: FuzzRequest) =>
      `${method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(body?.toString("latin1").slice(0, 600))}`;
    const send = async (asked: FuzzRequest): Promise<void> => {
      try {
        const { status, text }: FuzzReply = await kept.send(asked);
        note(status, told(asked));
        learn(text);
      } catch (error) {
        failures.push(`${(error as Error).message}: ${told(asked)}`);
      }
    };
    const sendRaw = async (parts: Buffer[]): Promise<void> => {
      try {
        const text = await sendBytes(port, parts);
        for (const status of statusesOf(text))
          note(status, JSON.stringify(Buffer.concat(parts).toString("latin1").slice(0, 900)));
        learn(text);
      } catch (error) {
        failures.push(
          `${(error as Error).message}: ${JSON.stringify(Buffer.concat(parts).toString("latin1").slice(0, 900))}`,
        );
      }
    };
    const garble = (random: Random) =>
      sendRaw([garbled(bytesOf(random.next() < 0.2 ? randomForm(random) : requests.next(random)), random)]);
    const socket = (random: Random) =>
      sendRaw([
        handshake("/v1/live"),
        ...Array.from({ length: FRAMES }, () => randomFrame(random)),
        frame(Buffer.from([3, 232]), { opcode: 8 }),
      ]);

    try {
      await many(seeds, WARM, (random) => send(requests.next(random)));
      await many(seeds, WARM / 10, (random) => send(randomForm(random)));
      await many(seeds, WARM / 10, socket);
      const before = await memory();
      await many(seeds, REQUESTS, (random) => send(requests.next(random)));
      await many(seeds, FORMS, (random) => send(randomForm(random)));
      await many(seeds, GARBLED, garble, 4 * AT_ONCE);
      await many(seeds, SOCKETS, socket, 4 * AT_ONCE);
      console.log(`answered ${JSON.stringify(Object.fromEntries([...statuses].sort(([a], [b]) => a - b)))}`);
      expect(failures.slice(0, 20), gateway.output().slice(-5_000)).toEqual([]);
      expect(gateway.output()).not.toMatch(/failed:|Unhandled|Uncaught/);
      for (const status of [101, 200, 201, 202, 400, 404, 413, 415, 422])
        expect(statuses.get(status), `${status}`).toBeGreaterThan(0);
      await expect.poll(memory, { timeout: 20_000 }).toBeLessThan(before + MEMORY_BYTES);

      // A connection that the server ended may have taken a reply with it.
      expect(await remains.clear()).toBeLessThanOrEqual(statuses.get(0) ?? 0);
      await expect.poll(() => remains.left(), { timeout: 20_000 }).toEqual([]);
      expect(await gateway.stop()).toMatchObject({ code: 0 });
    } finally {
      kept.close();
      await gateway.stop();
      await worker.stop();
      await millrace.close();
    }
  },
  sized(240_000, 7_200_000),
);

/** Does something so many times, some at once, each time with numbers of its own. */
async function many(
  seeds: Random,
  times: number,
  act: (random: Random) => Promise<void>,
  atOnce = AT_ONCE,
): Promise<void> {
  let left = times;
  const one = async () => {
    while (left-- > 0) await act(new Random(seeds.whole(1, 2 ** 31)));
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}
