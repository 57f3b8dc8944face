import { describe, expect, test } from "vitest";
import { violations } from "../support/layout.ts";
import { parseFile, readTree } from "../support/tree.ts";

/** Files of more than 300 lines, and why each is better whole. */
const LONG_FILES: Record<string, string> = {
  "engine/keys.ts": "one file has the name of every key and channel",
  "engine/scripts/commit.ts": "one script is one decision; its contract and its cases are read together",
  "engine/store.ts": "one class is all that happens to a run: a method for each script of the run path",
  "engine/workflow.ts": "one class is the vocabulary of definitions: a method for each kind of step",
};

/** A tree of one file. */
const one = (path: string, text: string) => violations(new Map([[path, text]]));

describe("the project's layout", () => {
  test("is kept by every file", async () => {
    expect(violations(await readTree(), LONG_FILES)).toEqual([]);
  });

  test("is looked at where it matters: the check sees the files and their imports", async () => {
    const tree = await readTree();
    for (const path of [
      "engine/workflow.ts",
      "engine/redis/private/start.ts",
      "bin/run.mjs",
      "tests/support/layout.ts",
    ])
      expect([...tree.keys()]).toContain(path);
    const { imports } = parseFile("engine/step.ts", tree.get("engine/step.ts")!);
    expect(imports).toContainEqual({ target: "engine/errors.ts", typeOnly: false });
    const context = parseFile("engine/step-context.ts", tree.get("engine/step-context.ts")!);
    expect(context.imports).toContainEqual({ target: "engine/blobs/blob-store.ts", typeOnly: true });
  });
});

describe("imports go down only", () => {
  test.each([
    ["engine/worker.ts", 'import "../workflows/index.ts"', "engine does not use workflows"],
    ["engine/worker.ts", 'import "../gateway/app.ts"', "engine does not use gateway"],
    ["workflows/index.ts", 'import "../gateway/app.ts"', "workflows does not use gateway"],
    ["gateway/app.ts", 'import "../cli/settings.ts"', "gateway does not use cli"],
    ["gateway/app.ts", 'import "../tests/support/run.ts"', "gateway does not use tests"],
    ["gateway/app.ts", 'import "../workflows/a/steps/b.ts"', "never a handler"],
    ["gateway/app.ts", 'export * from "../engine/store.ts"', "through engine/index.ts alone"],
    ["gateway/app.ts", 'import type { Store } from "../engine/store.ts"', "through engine/index.ts alone"],
    ["gateway/app.ts", 'type Store = import("../engine/store.ts").Store', "through engine/index.ts alone"],
    ["workflows/a/workflow.ts", 'const a = () => import("../../engine/ids.ts")', "through engine/index.ts alone"],
    ["gateway/app.ts", 'import "../engine/blobs/fs.ts"', "the server's doors"],
    ["workflows/index.ts", 'import "../engine/redis/private/index.ts"', "the server's doors"],
    ["cli/dev.ts", 'import "../engine/testing/index.ts"', "only tests and examples use the test kit"],
    ["workflows/index.ts", 'import "../engine/testing/index.ts"', "only tests and examples use the test kit"],
    ["workflows/examples/a.ts", 'import "../../engine/testing/kit.ts"', "through engine/index.ts alone"],
    ["gateway/dashboard/app/a.tsx", 'import "../../app.ts"', "the dashboard uses gateway/client"],
    ["gateway/dashboard/app/a.tsx", 'import "../../../engine/index.ts"', "the dashboard uses gateway/client"],
    ["gateway/dashboard/app/a.tsx", 'import type { A } from "../../../workflows/index.ts"', "the dashboard uses"],
    ["gateway/app.ts", 'import "./dashboard/app/main.tsx"', "the dashboard is for browsers"],
    ["workflows/index.ts", 'import "millrace"', "does not import itself by its name"],
  ])("%s: %s", (path, text, reason) => {
    expect(one(path, text)).toEqual([expect.stringContaining(reason)]);
  });

  test.each([
    ["cli/dev.ts", 'import "../gateway/entry/node.ts"; import "../workflows/index.ts"; import "../engine/index.ts"'],
    ["cli/dev.ts", 'import "../engine/redis/private/index.ts"; import "../engine/blobs/fs.ts"'],
    ["gateway/entry/bun.ts", 'import "../../engine/blobs/fs.ts"'],
    [
      "gateway/app.ts",
      'import "../engine/index.ts"; import "../workflows/index.ts"; import "./problems.ts"; import "hono"',
    ],
    [
      "gateway/dashboard/app/a.tsx",
      'import "./b.tsx"; import "../../client/index.ts"; import "preact"; import type { A } from "../../../engine/index.ts"',
    ],
    ["workflows/a/workflow.ts", 'import "../../engine/index.ts"; const lazy = () => import("./steps/b.ts")'],
    ["workflows/examples/a.ts", 'import "../../engine/testing/index.ts"; import "../../engine/index.ts"'],
    ["tests/unit/a.test.ts", 'import "../../engine/store.ts"; import "../../cli/main.ts"; import "ioredis"'],
  ])("%s may: %s", (path, text) => {
    expect(one(path, text)).toEqual([]);
  });
});

describe("inside the engine", () => {
  test.each([
    ["engine/transition.ts", 'import "./store.ts"', "the pure core uses only itself"],
    ["engine/transition.ts", 'import "./log.ts"', "the pure core uses only itself"],
    ["engine/workflow.ts", 'import "./blobs/blob-store.ts"', "the pure core uses only itself"],
    ["engine/ids.ts", 'import "node:os"', "the pure core does no I/O"],
    ["engine/worker.ts", 'import "./scripts/index.ts"', "only engine/store.ts and engine/store/ run scripts"],
    ["engine/worker.ts", 'import "./scripts/commit.lua"', "only engine/store.ts and engine/store/ run scripts"],
    ["engine/worker.ts", 'import type { Redis } from "ioredis"', "only engine/redis uses a Redis package"],
    ["engine/worker.ts", 'import "./redis/private/start.ts"', "a door of its own"],
    ["engine/worker.ts", 'import "./testing/clock.ts"', "the test kit is a door of its own"],
    ["engine/testing/kit.ts", 'import "../redis/private/start.ts"', "a door of its own"],
    ["engine/testing/kit.ts", 'import "../scripts/script.ts"', "only engine/store.ts and engine/store/ run scripts"],
    ["engine/redis/connect.ts", 'import "../store.ts"', "engine/redis uses only itself and the pure core"],
    ["engine/worker.ts", 'import "./index.ts"', "does not use its own index"],
  ])("%s: %s", (path, text, reason) => {
    expect(one(path, text)).toEqual([expect.stringContaining(reason)]);
  });

  test.each([
    [
      "engine/workflow.ts",
      'import type { BlobStore } from "./blobs/blob-store.ts"; import "./graph.ts"; import "uuid"',
    ],
    ["engine/redis/connect.ts", 'import { Redis } from "ioredis"; import "../log.ts"; import "./url.ts"'],
    ["engine/redis/private/start.ts", 'import "./find.ts"; import "../../errors.ts"; import "node:fs/promises"'],
    ["engine/testing/kit.ts", 'import "../redis/private/index.ts"; import "../worker.ts"; import "./clock.ts"'],
    ["engine/blobs/fs.ts", 'import "node:fs/promises"; import "./blob-store.ts"; import "../ids.ts"'],
  ])("%s may: %s", (path, text) => {
    expect(one(path, text)).toEqual([]);
  });
});

describe("only a few places know the runtime", () => {
  test.each([
    ["engine/worker.ts", "const id = process.pid", "names process"],
    ["gateway/app.ts", "const { env } = globalThis.process", "names process"],
    ["gateway/app.ts", 'const { env } = globalThis["process"]', "names process"],
    ["gateway/app.ts", "if (typeof Bun === 'object') run()", "names Bun"],
    ["workflows/index.ts", "const text = await Deno.readTextFile('a')", "names Deno"],
    ["engine/worker.ts", 'import { pid } from "node:process"', "use the process"],
    ["gateway/app.ts", 'import { readFile } from "node:fs/promises"', "use files and child processes"],
    ["gateway/app.ts", 'import { readFileSync } from "fs"', "use files and child processes"],
    ["workflows/a/steps/b.ts", 'import { spawn } from "node:child_process"', "use files and child processes"],
    ["engine/redis/connect.ts", 'import "node:fs"', "use files and child processes"],
  ])("%s: %s", (path, text, reason) => {
    expect(one(path, text)).toEqual([expect.stringContaining(reason)]);
  });

  test.each([
    ["engine/worker.ts", '// process and Deno\nconst text = "Bun"; const a = { process: 1 }; a.process'],
    ["engine/redis/connect.ts", "process.env.REDIS_URL"],
    ["gateway/entry/deno.ts", 'Deno.serve(() => new Response()); import "node:fs"'],
    ["cli/main.ts", 'process.exit(Bun ? 1 : 0); import "node:child_process"'],
  ])("%s may: %s", (path, text) => {
    expect(one(path, text)).toEqual([]);
  });
});

describe("files stay small", () => {
  const lines = (count: number) => "f();\n".repeat(count);

  test("300 lines, unless listed with a reason; an entry 40", () => {
    expect(one("engine/a.ts", lines(300))).toEqual([]);
    expect(one("engine/a.ts", lines(301))).toEqual(["engine/a.ts has 301 lines, more than 300"]);
    expect(one("engine/scripts/a.lua", lines(301))).toEqual(["engine/scripts/a.lua has 301 lines, more than 300"]);
    expect(one("gateway/entry/bun.ts", lines(40))).toEqual([]);
    expect(one("gateway/entry/bun.ts", lines(41))).toEqual(["gateway/entry/bun.ts has 41 lines, more than 40"]);
    expect(violations(new Map([["engine/a.ts", lines(301)]]), { "engine/a.ts": "a table" })).toEqual([]);
  });

  test("the list names no file that is short or gone", () => {
    const listed = { "engine/a.ts": "a table", "engine/b.ts": "a table" };
    expect(violations(new Map([["engine/a.ts", lines(9)]]), listed)).toEqual([
      "engine/a.ts is listed as long and is not",
      "engine/b.ts is listed as long and is not",
    ]);
  });
});
