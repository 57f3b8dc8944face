import { describe, expect, test } from "vitest";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { missing, RUNTIMES, type Runtime, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

/** `millrace keys` in a namespace: what it prints, and how it ends. */
async function commands(runtime: Runtime, namespace = freshNamespace(), more: Record<string, string> = {}) {
  const own = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir() };
  const env = { ...own, ...more };
  return async (...args: string[]) => {
    const program = startFile(runtime, "cli/main.ts", { args: ["keys", ...args], env });
    const { code } = await program.exited;
    return { code, output: program.output().trimEnd() };
  };
}

const SECRET = /^mr_[0-9a-f]{32}_[a-z2-7]{52}$/;
const create = ["create", "--name", "ci", "--scopes", "runs:write, runs:read", "--tenant", "acme"];

describe.concurrent.each(RUNTIMES)("millrace keys under %s", (runtime) => {
  test.skipIf(missing(runtime))("makes one, which works in another process until it is revoked", async () => {
    await using engine = await engineUnderTest([]);
    const keys = await commands(runtime, engine.namespace, { LOG_LEVEL: "trace" });
    const { code, output } = await keys(...create);
    expect(code).toBe(0);
    const secret = output.split("\n").find((line) => SECRET.test(line))!;
    // Whatever else is printed, the secret is on one line of its own.
    expect(output.split(secret)).toHaveLength(2);
    const key = await engine.millrace.access.keys.verify(secret);
    expect(key).toMatchObject({ tenant: "acme", name: "ci", scopes: ["runs:read", "runs:write"] });
    const end = new Promise((resolve) => void engine.millrace.access.keys.onEnd(key!, resolve));
    expect(await keys("revoke", key!.id)).toEqual({
      code: 0,
      output: expect.stringContaining(`${key!.id}\trevoked\tacme\tci\truns:read,runs:write`),
    });
    expect(await end).toBe("revoked");
    expect(await engine.millrace.access.keys.verify(secret)).toBeUndefined();
  });
});

describe("millrace keys", () => {
  test("makes one with limits and an end", async () => {
    await using engine = await engineUnderTest([]);
    const keys = await commands("node", engine.namespace);
    const limits = ["--requests", "10", "--window-ms", "60000", "--runs-per-day", "5", "--days", "1"];
    const { secret, ...view } = JSON.parse((await keys(...create, ...limits, "--json")).output);
    expect(secret).toMatch(SECRET);
    expect(view).toMatchObject({ rateLimit: { requests: 10, windowMs: 60_000 }, quota: { runsPerDay: 5 } });
    expect(view).toEqual(await engine.millrace.access.keys.get(view.id));
    expect(Math.abs((Date.parse(view.expiresAt) - Date.now()) / 86_400_000 - 1)).toBeLessThan(0.01);
    expect((await keys("show", view.id)).output).toMatch(/^requests\t10 in 60000 ms$/m);
    expect(JSON.parse((await keys("show", view.id, "--json")).output)).toEqual(view);
  });

  test("lists them", async () => {
    await using engine = await engineUnderTest([]);
    const keys = await commands("node", engine.namespace);
    const make = (tenant: string) => engine.millrace.access.keys.create({ name: "ci", tenant, scopes: ["admin"] });
    const made = [await make("acme"), await make("acme")];
    const { id } = await make("other");
    const [first, more] = (await keys("list", "--tenant", "acme", "--limit", "1")).output.split("\n");
    const [second] = (await keys("list", "--tenant", "acme", "--cursor", more!.split(" ")[2]!)).output.split("\n");
    const lines = made.map(({ id }) => `${id}\tactive\tacme\tci\tadmin`);
    expect([first!.trimEnd(), second].sort()).toEqual(lines.sort());
    expect(JSON.parse((await keys("list", "--tenant", "other", "--json")).output).data).toMatchObject([{ id }]);
  });

  test("rotates one", async () => {
    await using engine = await engineUnderTest([]);
    const { keys: own } = engine.millrace.access;
    const made = await own.create({ name: "ci", scopes: ["admin"] });
    const keys = await commands("node", engine.namespace);
    const { output } = await keys(
      "rotate",
      made.id,
      "--overlap-ms",
      "0",
      "--expires-at",
      "2040-01-01T00:00:00Z",
      "--json",
    );
    const rotated = JSON.parse(output);
    expect(rotated).toMatchObject({ id: made.id, expiresAt: "2040-01-01T00:00:00.000Z" });
    expect(await own.verify(made.secret)).toBeUndefined();
    expect(await own.verify(rotated.secret)).toMatchObject({ secretNumber: 2 });
  });

  test.each([
    ["an unknown scope", 2, ["--scopes", "fly"], /^millrace: scopes: Expected only these: runs:read /m],
    ["a bad tenant", 2, ["--tenant", "a b"], /^millrace: tenant: /m],
    ["a bad name", 2, ["--name", ""], /^millrace: name: /m],
    ["an end that has passed", 2, ["--expires-at", "2020-01-01T00:00:00Z"], /^millrace: expiresAt: /m],
    ["an end that is none", 2, ["--expires-at", "soon"], /--expires-at takes a time/],
    ["two ends", 2, ["--expires-at", "2040-01-01T00:00:00Z", "--days", "1"], /Give --expires-at or --days/],
    ["half a limit", 2, ["--requests", "1"], /--requests and --window-ms go together/],
    ["too short a window", 2, ["--requests", "1", "--window-ms", "1"], /from 1000 to/],
  ])("refuses %s with exit code %i", async (_, code, args, message) => {
    const refused = await (await commands("node"))(...create, ...args);
    expect(refused).toEqual({ code, output: expect.stringMatching(message) });
    expect(refused.output).not.toMatch(/^\s+at |mr_/m);
  });

  test("says that there is no such key", async () => {
    const keys = await commands("node");
    for (const action of ["show", "rotate", "revoke"])
      expect(await keys(action, "x")).toEqual({
        code: 3,
        output: expect.stringMatching(/^millrace: There is no key "x"\.$/m),
      });
  });
});
