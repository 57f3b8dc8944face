import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { type Script, type TellingScript, withClock } from "../../engine/scripts/script.ts";
import { ROOT } from "../support/run.ts";
import { readTree } from "../support/tree.ts";

const scripts: Script[] = [];
for (const file of await readdir(`${ROOT}engine/scripts`)) {
  if (!file.endsWith(".ts")) continue;
  const module = (await import(`${ROOT}engine/scripts/${file}`)) as Record<string, unknown>;
  for (const each of Object.values(module))
    if (isObject(each)) {
      if ("source" in each) scripts.push(each as Script);
      if ("telling" in each) scripts.push((each as TellingScript).telling);
    }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

test.each(scripts)(
  "the test kit's $name differs from the product's in the line that says what time it is",
  (script) => {
    const [own, kits] = [script.source.split("\n"), withClock(script.source, "{kit:0}:clock").split("\n")];
    expect(kits).toHaveLength(own.length);
    const changed = own.flatMap((line, i) => (line === kits[i] ? [] : [[line, kits[i]]]));
    const line = [
      "local now_ms = server_ms",
      "local function now_ms() return server_ms() + (redis.call('GET', '{kit:0}:clock') or 0) end",
    ];
    expect(changed).toEqual(bodyOf(script).includes("now_ms()") ? [line] : []);
  },
);

/** A script without what says which time it is. */
function bodyOf({ source }: Script): string {
  return source.replace(/^local function server_ms\(\)\n.*\n.*\nend$/m, "").replace(/^local now_ms = server_ms$/m, "");
}

test.each(scripts)("$name takes the time from the prelude alone, and leases from the server's", (script) => {
  const { name, source } = script;
  const body = bodyOf(script);
  // Rates are kept in microseconds, and are no time of runs.
  expect(body.match(/'TIME'/g) ?? []).toHaveLength(name === "take-rate" ? 1 : 0);
  expect(source.includes("'TIME'")).toBe(/(server_ms|now_ms)\(\)|'TIME'/.test(body));
  const leases = ["heartbeat", "reclaim"];
  // Beside the lease of who is at them, uploads and requests have a time at which they expire.
  const both = ["hold-upload", "end-upload", "begin-request"];
  expect(body.includes("server_ms()"), name).toBe([...leases, ...both].includes(name));
  if (leases.includes(name)) expect(body).not.toContain("now_ms()");
});

/** Files of the engine that read a clock other than that of runs, and what for. */
const OTHER_CLOCKS: Record<string, string> = {
  "engine/redis/client.ts": "asks for the time of runs",
  "engine/records.ts": "how long ago a worker beat: the server's time",
  "engine/queues.ts": "how old an entry is: the server's time",
  "engine/redis/credentials.ts": "how long a token lives yet",
  "engine/checkup/live.ts": "how far apart this machine's clock and the server's are",
  "engine/checkup/rights.ts": "whether it may be asked",
  "engine/redis/private/start.ts": "how long a server may take to start",
  "engine/blobs/fs.ts": "when a document came",
  "engine/blobs/object-blobs.ts": "when a document came",
  "engine/blobs/direct-objects.ts": "how long an address lives",
  "engine/blobs/azure-objects.ts": "how long a signature lives",
  "engine/blobs/azure.ts": "how long a signature lives",
  "engine/blobs/s3-client.ts": "when a request is signed",
  "engine/testing/memory-blobs.ts": "when a document came",
};

test("the engine reads the time of runs by its scripts and by client.timed() alone", async () => {
  const found = [...(await readTree())]
    .filter(([path]) => path.startsWith("engine/") && !path.startsWith("engine/scripts/"))
    .filter(([, text]) => /\bDate\.now\(|new Date\(\)|"TIME"/.test(text.replaceAll(/^\s*(\/\/|\*).*$/gm, "")))
    .map(([path]) => path);
  expect(found.sort()).toEqual(Object.keys(OTHER_CLOCKS).sort());
});
