import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import { FatalError, workflow } from "../../engine/index.ts";
import { NamespaceKeys, PartitionKeys } from "../../engine/keys.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { code, readMarkdown, table } from "../support/markdown.ts";
import { leftovers, rawRedis, redisUrl } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";

const readme = await readMarkdown("engine/README.md");

const version = { workflow: "WORKFLOW", version: 1 };
const space = new NamespaceKeys("NS");
const keys = space.partition(0);
/** By the methods of `keys.ts`: what the table shows, and the type. */
const KEYS: Record<string, string> = {
  meta: `${space.meta()} hash`,
  graphs: `${space.graphs()} hash`,
  run: `${keys.run("RUN")} hash`,
  runChannel: `${keys.runChannel("RUN")} channel`,
  log: `${keys.log("RUN")} list`,
  step: `${keys.step(version, "STEP")} stream`,
  dead: `${keys.dead(version, "STEP")} stream`,
  timers: `${keys.timers()} zset`,
  delayed: `${keys.delayed()} hash`,
  workers: `${keys.workers()} hash`,
  beats: `${keys.beats()} hash`,
  runsByStatus: `${keys.runsByStatus("TENANT", "STATUS")} zset`,
  runsByWorkflow: `${keys.runsByWorkflow("TENANT", "WORKFLOW")} zset`,
  runsByTag: `${keys.runsByTag("TENANT", "TAG")} zset`,
  deadLetters: `${keys.deadLetters("TENANT")} zset`,
  once: `${keys.once("TENANT", "HASH")} hash`,
  dedupe: `${keys.dedupe("TENANT", "HASH")} hash`,
  control: `${keys.control()} channel`,
};

test("the engine's table of keys has what keys.ts makes, and nothing else", () => {
  const methods = [NamespaceKeys, PartitionKeys].flatMap((each) => Object.getOwnPropertyNames(each.prototype));
  expect(methods.filter((name) => !["constructor", "partition"].includes(name)).sort()).toEqual(
    Object.keys(KEYS).sort(),
  );
  expect(table(readme, "key").map(([key, type]) => `${code(key!)} ${type}`)).toEqual(Object.values(KEYS));
});

test("the engine's table of scripts has every script", async () => {
  const files = (await readdir(`${ROOT}engine/scripts`)).map((name) => name.replace(".ts", ""));
  const told = table(readme, "script").map(([name]) => code(name!));
  expect(told.sort()).toEqual(files.filter((name) => name !== "script").sort());
  const words = table(readme, "key").flatMap((row) => row[3]!.replaceAll(/`[^`]*`/g, "").match(/[a-z]+/g) ?? []);
  const verbs = ["add", "adds", "claim", "remove", "forget", "lapse", "once"];
  for (const word of words) expect([...files, ...verbs]).toContain(word);
});

test("the engine's README names files that there are", () => {
  for (const [, path] of readme.text.matchAll(/`([\w/.-]+\.ts|[\w-]+\/(?:[\w-]+\/)?)`/g))
    expect(existsSync(`${ROOT}engine/${path}`) || existsSync(`${ROOT}${path}`), path).toBe(true);
});

describe("what Redis holds after runs of every kind", () => {
  /** Fails once, says how far it is, ends; the second step fails for good. */
  const odd = workflow("odd", { input: v.object({ name: v.string() }) })
    .step("first", {
      retry: { baseMs: 0, maxMs: 0 },
      run: ({ name }, ctx) => {
        ctx.progress(0.5, "half way");
        if (ctx.attempt === 1) throw new Error("not yet");
        return name;
      },
    })
    .step("second", (name) => {
      if (name === "bad") throw new FatalError("never");
      return name;
    });
  const found = { keys: [] as string[], fields: new Set<string>() };

  beforeAll(async () => {
    await using engine = await engineUnderTest([odd]);
    await engine.worker();
    const idempotency = { scope: "a", key: "b", digest: "c" };
    const terms = { delayMs: 1, ttlMs: 60_000, deadlineMs: 60_000, tags: ["blue"] };
    const options = { ...terms, metadata: { a: 1 }, idempotency, dedupe: { key: "k", mode: "simple" } } as const;
    const good = await engine.millrace.runs.start(odd, { name: "good" }, options);
    await engine.events(good.id);
    await engine.run(odd, { name: "bad" });
    const redis = rawRedis();
    for (const key of await leftovers(redisUrl, engine.namespace)) {
      found.keys.push(`${key.replace(engine.namespace, "NS")} ${await redis.type(key)}`);
      if (/\}:run:/.test(key)) for (const field of await redis.hkeys(key)) found.fields.add(field);
    }
  });

  test("is in the table of keys, with its type, and nothing in the table is missing", () => {
    const shown = found.keys.map((each) =>
      each
        .replace(/(:(?:run|log):)[0-9a-f-]+ /, "$1RUN ")
        .replace(/:(step|dead):odd@1:\w+/, ":$1:WORKFLOW@1:STEP")
        .replace(/:(runs|dead-letters|once|dedupe):default/, ":$1:TENANT")
        .replace(/:status:\w+/, ":status:STATUS")
        .replace(/:workflow:odd/, ":workflow:WORKFLOW")
        .replace(/:tag:blue/, ":tag:TAG")
        .replace(/:TENANT:[0-9a-f]{64}/, ":TENANT:HASH"),
    );
    expect([...new Set(shown)].sort()).toEqual(
      Object.values(KEYS)
        .filter((each) => !each.endsWith("channel"))
        .sort(),
    );
  });

  test("is in the table of fields, and nothing in that is missing", () => {
    const shown = [...found.fields].map((field) =>
      field.replace(/^(step|output|progress|error):\w+$/, "$1:STEP").replace(/^dead:\d+-\d+$/, "dead:ENTRY"),
    );
    const told = table(readme, "field").map(([name]) => code(name!));
    expect([...new Set(shown)].sort()).toEqual(told.sort());
  });
});
