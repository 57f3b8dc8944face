import * as v from "valibot";
import { expect, test, vi } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { openProxy } from "../support/proxy.ts";
import { restartableRedis } from "../support/restartable-redis.ts";

const gates = new Gates();
const held = workflow("held", { input: v.object({}) }).step("wait", (_, ctx) => gates.pass(ctx.run.id, ctx.signal));

test("a watcher whose channel cannot be heard shows what is stored, and ends when it is told to", async () => {
  await using server = await restartableRedis({ appendOnly: false });
  await using proxy = await openProxy(server.url);
  await using engine = await engineUnderTest([held], { url: proxy.url });
  const { id } = await engine.millrace.runs.start(held, {});
  proxy.set("black-hole", "new");
  const leaving = new AbortController();
  const seen: string[] = [];
  for await (const { type } of engine.millrace.watch(id, { signal: leaving.signal })) {
    seen.push(type);
    setImmediate(() => leaving.abort());
  }
  expect(seen).toEqual(["run.queued"]);
});

test("connections that fall silent are replaced: work is taken up, and watchers hear of it", async () => {
  await using server = await restartableRedis({ appendOnly: false });
  await using proxy = await openProxy(server.url);
  await using engine = await engineUnderTest([held], { url: proxy.url });
  const worker = await engine.worker();
  const { id } = await engine.millrace.runs.start(held, {});
  for await (const event of engine.millrace.watch(id)) if (event.type === "step.started") break;
  const before = proxy.connections;
  proxy.set("black-hole", "existing");
  // For calls, for the blocking read, for what is heard.
  await vi.waitFor(() => expect(proxy.connections).toBeGreaterThanOrEqual(before + 3), { timeout: 15_000 });
  gates.open(id);
  const other = await engine.millrace.runs.start(held, {});
  gates.open(other.id);
  for (const run of [id, other.id]) expect((await engine.ended(run)).status).toBe("completed");
  expect(worker.silentMs).toBeLessThan(5_000);
});
