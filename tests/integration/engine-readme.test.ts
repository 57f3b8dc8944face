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
  slots: `${keys.slots(version, "STEP")} stream`,
  gate: `${keys.gate(version, "STEP")} hash`,
  gateWaiting: `${keys.gateWaiting(version, "STEP")} zset`,
  gateHeld: `${keys.gateHeld(version, "STEP")} zset`,
  gateTurns: `${keys.gateTurns(version, "STEP")} zset`,
  dead: `${keys.dead(version, "STEP")} stream`,
  items: `${keys.items("RUN", "STEP")} hash`,
  chunk: `${keys.items("RUN", "STEP")}:CHUNK hash`,
  timers: `${keys.timers()} zset`,
  delayed: `${keys.delayed()} hash`,
  workers: `${keys.workers()} hash`,
  beats: `${keys.beats()} hash`,
  runsByStatus: `${keys.runsByStatus("TENANT", "STATUS")} zset`,
  runsByWorkflow: `${keys.runsByWorkflow("TENANT", "WORKFLOW")} zset`,
  deadLetters: `${keys.deadLetters("TENANT")} zset`,
  once: `${keys.once("TENANT", "HASH")} hash`,
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
  const files = (await readdir(`${ROOT}engine/scripts`))
    .filter((name) => name.endsWith(".ts"))
    .map((name) => name.replace(".ts", ""));
  const told = table(readme, "script").map(([name]) => code(name!));
  expect(told.sort()).toEqual(files.filter((name) => name !== "script").sort());
  const words = table(readme, "key").flatMap((row) => row[3]!.replaceAll(/`[^`]*`/g, "").match(/[a-z-]+/g) ?? []);
  const verbs = ["add", "adds", "claim", "remove", "forget", "once"];
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
  /** A join, several ends, items that stay alive, waits of every kind. */
  const inner = workflow("inner", { input: v.any() }).sleep("sleep", 86_400_000);
  const many = workflow("many", { input: v.any() })
    .step("aside", { after: [], run: () => 0 })
    .step("one", { after: [], run: () => 1 })
    .step("two", { after: [], run: () => 2 })
    .step("join", { after: ["one", "two"], run: () => 3 })
    .waitFor("signal", { after: [], schema: v.any() })
    .step("end", { after: ["signal"], run: () => 1 })
    .map("map", {
      after: ["join"],
      over: () => [1, 2],
      retry: { baseMs: 60_000, maxMs: 60_000, jitter: "none" },
      run: (_, ctx) => {
        if (ctx.item === 1) throw new Error("not yet");
      },
    })
    .child("child", { after: ["end"], workflow: inner, input: () => null });
  /** One at work, another behind it. */
  const limited = workflow("limited", { input: v.any() }).step("one", {
    limits: { rate: { count: 1, windowMs: 60_000 } },
    run: (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  const found = { keys: [] as string[], fields: new Set<string>() };

  beforeAll(async () => {
    await using engine = await engineUnderTest([odd, many, limited]);
    await engine.worker({ drainMs: 0 });
    const first = await engine.millrace.runs.start(limited, null);
    await engine.until(first.id, ({ type }) => type === "step.started");
    const behind = await engine.millrace.runs.start(limited, null);
    await engine.until(behind.id, ({ type }) => type === "run.waiting");
    const idempotency = { scope: "a", key: "b", digest: "c" };
    const good = await engine.millrace.runs.start(odd, { name: "good" }, { metadata: { a: 1 }, idempotency });
    await engine.events(good.id);
    const bad = await engine.run(odd, { name: "bad" });
    const [letter] = (await engine.millrace.deadLetters.list()).data;
    await engine.millrace.deadLetters.replay(letter!.id);
    await engine.events(bad.id, bad.seq);
    const { id } = await engine.millrace.runs.start(many, null);
    await engine.millrace.runs.signal(id, "signal", 1);
    await engine.until(id, ({ type, step }) => type === "step.retrying" && step === "map");
    await engine.until(id, ({ type, step }) => type === "step.started" && step === "child");
    await engine.until(id, ({ type, step }) => type === "step.completed" && step === "aside");
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
        .replace(/:items:[0-9a-f-]+:\w+/, ":items:RUN:STEP")
        .replace(/:items:RUN:STEP:0/, ":items:RUN:STEP:CHUNK")
        .replace(/:(step|dead|slots|gate):\w+@1:\w+/, ":$1:WORKFLOW@1:STEP")
        .replace(/:(runs|dead-letters|once):default/, ":$1:TENANT")
        .replace(/:status:\w+/, ":status:STATUS")
        .replace(/:workflow:\w+/, ":workflow:WORKFLOW")
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
      field
        .replace(/^(step|output|progress|error|join|items|due|signal|signalled):\w+$/, "$1:STEP")
        .replace(/^dead:\d+-\d+$/, "dead:ENTRY"),
    );
    const told = table(readme, "field").map(([name]) => code(name!));
    expect([...new Set(shown)].sort()).toEqual(told.sort());
  });
});
