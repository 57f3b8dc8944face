import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ROOT } from "../support/run.ts";

const names = await readdir(`${ROOT}engine`, { recursive: true });
const sources = await Promise.all(
  names
    .filter((name) => name.endsWith(".ts"))
    .map(async (name) => [name, await readFile(`${ROOT}engine/${name}`, "utf8")] as const),
);
const having = (pattern: RegExp) => sources.filter(([, text]) => pattern.test(text)).map(([name]) => name);

test("work streams are never trimmed: what was not delivered would be gone without a word", () => {
  expect(sources.length).toBeGreaterThan(150);
  expect(having(/XADD/)).not.toEqual([]);
  expect(having(/\b(MAXLEN|MINID|XTRIM)\b/)).toEqual([]);
});

test("groups begin at 0: those that begin at the end skip what was there before", () => {
  expect(having(/'CREATE', KEYS|"XGROUP", "CREATE"/)).not.toEqual([]);
  expect(having(/XGROUP\W+CREATE\b[^\n]*['"]\$['"]/)).toEqual([]);
});

test("nothing reads with id 0, which would raise delivery counts", () => {
  expect(having(/XREADGROUP[^\n]*['"]0(-0)?['"]/)).toEqual([]);
});

test("scripts are in the dialect of Redis 6.2", () => {
  expect(having(/redis\.(setresp|set_repl|register_function|acl_check_cmd)\b|^#!lua/m)).toEqual([]);
});
