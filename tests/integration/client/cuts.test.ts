import { any } from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { createClient, type Message } from "../../../gateway/client/index.ts";
import { Random } from "../../support/faults/random.ts";
import { newSeed } from "../../support/faults/settings.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { openProxy } from "../../support/proxy.ts";

const RUNS = 50;
const CUTS = 200;

let gateway: TestGateway;
let isOver = false;
/** Emits until the cuts are over, and then comes to its end. */
const moving = workflow("moving", { input: any() })
  .step("move", {
    concurrency: RUNS,
    async run(_, ctx) {
      for (let n = 0; !isOver; n += 1) {
        ctx.emit({ n });
        await new Promise((resolve) => setTimeout(resolve, 50 + 50 * Math.random()));
        ctx.signal.throwIfAborted();
      }
    },
  })
  .step("rest", () => "done");

beforeAll(async () => {
  gateway = await startGateway({ workflows: [moving], concurrency: 2 * RUNS });
});
afterAll(() => gateway.close());

describe.each([
  ["websocket", CUTS],
  ["sse", CUTS / 5],
] as const)("by %s", (transport, cuts) => {
  test(`the connection is cut ${cuts} times while ${RUNS} runs move, and each watcher sees all, once and in order`, async () => {
    isOver = false;
    const seed = newSeed();
    console.log(`SEED=${seed}`);
    const random = new Random(seed);
    await using proxy = await openProxy(gateway.url);
    const direct = createClient({ url: gateway.url });
    const client = createClient({ url: proxy.url, transport });
    const runs = await Promise.all(Array.from({ length: RUNS }, () => direct.start("moving", {})));
    let told = Promise.withResolvers<void>();
    const watched = Promise.all(
      runs.map(async ({ id }) => {
        const seen: Message[] = [];
        for await (const message of client.run(id).watch({ signal: AbortSignal.timeout(110_000) })) {
          seen.push(message);
          told.resolve();
        }
        return seen;
      }),
    );
    let cut = 0;
    while (cut < cuts) {
      // Most of them while it carries something, and some before it does.
      if (random.next() < 0.9) await Promise.race([told.promise, watched]);
      else await proxy.until(({ open }) => open > 0);
      await new Promise((resolve) => setTimeout(resolve, 50 * random.next()));
      cut += proxy.cut() > 0 ? 1 : 0;
      told = Promise.withResolvers();
    }
    isOver = true;
    const all = await watched;
    expect(proxy.connections).toBeGreaterThan(cuts);
    let most = 0;
    for (const [i, seen] of all.entries()) {
      const { seq } = await direct.run(runs[i]!.id).get();
      expect(seen.map((message) => message.seq)).toEqual(Array.from({ length: seq }, (_, n) => n + 1));
      expect(seen.at(-1)!.type).toBe("run.completed");
      most = Math.max(most, seq);
    }
    expect(most).toBeGreaterThan(20);
    client.close();
  }, 120_000);
});
