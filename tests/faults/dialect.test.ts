import { expect, test } from "vitest";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { startProgram } from "../support/process.ts";
import { rawRedis } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";
import { aclRedis } from "../support/servers/acl.ts";
import { allowed, leastRights, newerCommands } from "../support/servers/rights.ts";

/** What the engine must not need, and nor must a test of it that looks into Redis. */
const FORBIDDEN = ["-config", "-debug", "-keys", "-flushall", "-flushdb", "-script"];
/** A representative part of the suite: each script, and each shape of workflow. */
const PART = [
  ...["admit", "commit", "graphs", "items", "leases", "waits", "gates", "lanes", "pauses", "undo", "delete-run"],
  ...["subscriptions", "schedules"],
].map((name) => `tests/integration/scripts/${name}.test.ts`);
const SHAPES = ["tests/integration/shapes/maps.test.ts"];
const ALL = [
  "tests/integration/scripts/",
  "tests/integration/shapes/",
  "tests/integration/subscriptions/",
  "tests/contract/",
];
/** Asked for, and done without. */
const OPTIONAL = ["config|get"];

test(
  "the engine keeps to Redis 6.2, and to the rights that the README gives it",
  async () => {
    await using redis = await aclRedis();
    const admin = rawRedis(redis.url);
    const rules = await leastRights("test-*", "engine");
    const newer = await newerCommands(admin);
    expect(allowed(rules).filter((command) => newer?.includes(command))).toEqual([]);
    await redis.set("engine", ...rules);
    const without = (newer ?? []).map((command) => `-${command}`);
    await redis.set("suite", "on", ">suite", "~{test-*", "&{test-*", "+@all", ...without, ...FORBIDDEN);

    const args = ["vitest", "run", ...sized([...PART, ...SHAPES], ALL), "--reporter=dot"];
    const env = { REDIS_URL: redis.as("suite", "suite"), TEST_ENGINE_URL: redis.as("engine", "engine") };
    const suite = startProgram(process.execPath, [`${ROOT}bin/run.mjs`, ...args], {
      env: { ...env, VITEST: undefined },
    });
    const { code } = await suite.exited;
    const refused = refusals((await admin.call("ACL", "LOG", "1000")) as unknown[][]);
    expect(
      refused.filter((what) => !OPTIONAL.includes(what)),
      suite.output(),
    ).toEqual([]);
    expect(code, suite.output()).toBe(0);
    expect(Number(/Tests .*?(\d+) passed/.exec(suite.output())?.[1])).toBeGreaterThan(100);
  },
  2 * TIMEOUT_MS,
);

/** What was refused to whom. */
function refusals(log: unknown[][]): string[] {
  return log.map((entry) => String(entry[entry.indexOf("object") + 1]));
}
