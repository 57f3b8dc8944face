import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { RetryAfterError, workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";
import { rawRedis } from "../../support/redis.ts";
import { connectionsNamed, keysLike } from "../../support/redis-client.ts";
import { ROOT, temporaryDir } from "../../support/run.ts";

const large = workflow("large", { input: v.number() })
  .step("make", (length) => "x".repeat(length))
  .step("measure", (text, { env }) => `${text.length} ${env.UNIT}`);

const home = `${ROOT}.millrace`;

// Other suites may run on this machine, and so do other files of this one.
beforeAll(async () => {
  vi.stubEnv("TMPDIR", await temporaryDir());
});
afterAll(() => {
  vi.unstubAllEnvs();
});

const directories = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("millrace-"));

describe("a kit", () => {
  test("has a Redis of its own, of which nothing is left", async () => {
    const before = await directories();
    await using kit = await testKit([large], { home, env: { UNIT: "characters" } });
    expect(await kit.run(large, 100_000)).toMatchObject({ output: "100000 characters" });
    const made = (await directories()).filter((name) => !before.includes(name));
    expect(made.length).toBeGreaterThan(0);
    await Promise.all([kit.close(), kit.close()]);
    await kit[Symbol.asyncDispose]();
    await vi.waitFor(async () => expect(await directories()).not.toEqual(expect.arrayContaining(made)));
    await expect(kit.start(large, 1)).rejects.toMatchObject({ code: "unavailable" });
  });

  test("leaves no key and no connection on a Redis that it was given, nor a handler at work", async () => {
    const redis = rawRedis();
    const aborted = Promise.withResolvers<void>();
    const stuck = workflow("stuck", { input: v.null() })
      .step("fail", (_, { attempt }) => {
        if (attempt === 1) throw new RetryAfterError("later", 86_400_000);
      })
      .step("wait", (_, { signal }) => {
        signal.addEventListener("abort", () => aborted.resolve());
        return new Promise<never>(() => {});
      });
    await using kit = await testKit([stuck, large], kitOptions());
    await kit.run(large, 100_000);
    const run = await kit.start(stuck, null);
    await kit.until(run, "step.retrying");
    await kit.clock.jump("1 day");
    await kit.until(run, ({ type, step }) => type === "step.started" && step === "wait");
    const names = async () => {
      const lines = (await connectionsNamed(redis, /^millrace:kit-/)).map(({ line }) => line);
      return lines.join().match(/name=millrace:kit-[0-9a-f]+/g) ?? [];
    };
    const [name] = await names();
    await kit.close();
    await aborted.promise;
    await vi.waitFor(async () => expect(await names()).not.toContain(name));
    const space = name!.slice("name=millrace:".length);
    expect(await keysLike(redis, `*${space}*`)).toEqual([]);
  });

  test("of which one cannot be made leaves nothing either", async () => {
    const before = await directories();
    const twice = workflow("large", { input: v.number() }).step("make", () => "");
    await expect(testKit([large, twice], { home })).rejects.toMatchObject({ code: "definition" });
    await expect(testKit([large], { home, timeoutMs: 0 })).rejects.toMatchObject({ code: "bad_option" });
    await expect(testKit([large], { home, concurrency: 0 })).rejects.toMatchObject({ code: "bad_option" });
    expect(await directories()).toEqual(before);
  });

  test("shows what has happened so far, while the run goes on", async () => {
    const open = Promise.withResolvers<void>();
    const held = workflow("held", { input: v.null() }).step("hold", () => open.promise);
    await using kit = await testKit([held], kitOptions());
    const run = await kit.start(held, null, { metadata: { from: "a test" } });
    expect(run).toMatchObject({ created: true, workflow: "held", definition: held });
    await kit.until(run, "step.started");
    expect((await kit.events(run)).map(({ type }) => type)).toEqual(["run.queued", "run.started", "step.started"]);
    open.resolve();
    await kit.clock.settle();
    expect((await kit.events(run.id)).at(-1)).toMatchObject({ type: "run.completed" });
    expect(await kit.ended(run)).toMatchObject({ metadata: { from: "a test" } });
  });
});
