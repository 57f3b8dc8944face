import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ROOT } from "../support/run.ts";
import { allowed, leastRights } from "../support/servers/rights.ts";

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

test("no key has a time to live: under `volatile-*` it would be evicted when memory is full", () => {
  // A blob that is being written expires if that breaks off, and is counted before it is made to stay.
  const counted = ["store/redis-objects.ts"];
  // What a look at the server tries its commands on is nobody's.
  const tried = ["checkup/rights.ts"];
  expect(having(/['"](P?EXPIRE(AT)?|P?SETEX|GETEX|EX|PX|EXAT|PXAT)['"]/).sort()).toEqual([...tried, ...counted]);
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

/** How the sources call commands: those of a connection, and those of scripts. */
const CALLS = [
  /\b(?:redis\.p?call|call|redis\.pcall)\('([A-Z]+)'(?:, '([A-Z]+)')?/g,
  /(?:\bcall\(|\[)"([A-Z]+)"(?:, "([A-Z]+)")?/g,
  /: '([A-Z]+LEN|[A-Z]+CARD)'|\b[hlsz] = '([A-Z]+)'/g,
];
const WITH_SUBCOMMAND = ["CLIENT", "CONFIG", "MEMORY", "XGROUP", "XINFO", "CLUSTER"];
/** What the client library sends for us. */
const BY_LIBRARY = [
  "auth",
  "hello",
  "client|setname",
  "subscribe",
  "unsubscribe",
  "psubscribe",
  "punsubscribe",
  "info",
];
/** No command (an error of file systems); of the test kit, of clusters, and what is done without where it is refused. */
const BESIDE = ["eperm", "keys", "incrby", "get", "cluster|keyslot", "config|get", "wait", "waitaof"];

test("the rights in the README are those of the commands that the engine calls, and no others", async () => {
  const called = new Set<string>();
  for (const [, text] of sources)
    for (const pattern of CALLS)
      for (const [, name, sub] of text.matchAll(pattern)) {
        const command = (name ?? sub)!;
        called.add((WITH_SUBCOMMAND.includes(command) ? `${command}|${sub}` : command).toLowerCase());
      }
  const granted = allowed(await leastRights("ns", "secret"));
  expect([...called].filter((command) => !granted.includes(command) && !BESIDE.includes(command))).toEqual([]);
  expect(granted.filter((command) => !called.has(command) && !BY_LIBRARY.includes(command))).toEqual([]);
});
