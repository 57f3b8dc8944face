import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ROOT } from "../support/run.ts";

/** Every file of the engine that speaks to Redis. */
async function sources(): Promise<[string, string][]> {
  const files = (await readdir(`${ROOT}engine`, { recursive: true })).filter((name) => name.endsWith(".ts"));
  return Promise.all(
    files.map(async (name) => [name, await readFile(`${ROOT}engine/${name}`, "utf8")] as [string, string]),
  );
}

test("nothing trims a stream: what was not delivered yet would be gone, and the group would say that it has no lag", async () => {
  const found = await sources();
  expect(found.length).toBeGreaterThan(150);
  for (const [name, text] of found) expect(text, name).not.toMatch(/['"](XTRIM|MAXLEN|MINID)['"]/i);
});

test("only logs are trimmed, by the one function that counts what it drops, and what is noted of ends", async () => {
  const trims = (await sources()).filter(([, text]) => /['"](LTRIM|ZREMRANGEBY\w+)['"]/.test(text));
  // A look at the server tries its commands on a key that is for this alone.
  const [[name, text], ...others] = trims.filter(([name]) => name !== "checkup/rights.ts") as [[string, string]];
  expect([name, others]).toEqual(["scripts/parts/prelude.ts", []]);
  expect(text.match(/'LTRIM', (\w+)/g)).toEqual(["'LTRIM', log_key", "'LTRIM', ends_key", "'LTRIM', ends_key"]);
});

test("nothing claims by XAUTOCLAIM, whose replies differ from version to version", async () => {
  for (const [name, text] of await sources()) expect(text, name).not.toMatch(/['"]XAUTOCLAIM['"]/i);
});
