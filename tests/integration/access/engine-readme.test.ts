import { expect, test } from "vitest";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { code, readMarkdown, table } from "../../support/markdown.ts";
import { leftovers, rawRedis, redisUrl } from "../../support/redis.ts";

const readme = await readMarkdown("engine/README.md");

test("the engine's tables of an API key and of a ticket have every field that is stored, and no other", async () => {
  await using engine = await engineUnderTest([]);
  const { keys: apiKeys, tickets } = engine.millrace.access;
  const limits = { rateLimit: { requests: 1, windowMs: 1_000 }, quota: { runsPerDay: 1 } };
  const options = { name: "ci", scopes: ["admin"], expiresAt: new Date(Date.now() + 60_000), ...limits } as const;
  const made = await apiKeys.create(options);
  const rotated = await apiKeys.rotate(made.id);
  await apiKeys.verify(rotated.secret);
  const redis = rawRedis();
  const of = new NamespaceKeys(engine.namespace).partition(0);
  await expect.poll(() => redis.hexists(of.apiKey(made.id), "lastUsedAt")).toBe(1);
  const fields = new Set(await redis.hkeys(of.apiKey(made.id)));
  await apiKeys.revoke(made.id);
  for (const field of await redis.hkeys(of.apiKey(made.id))) fields.add(field);
  expect([...fields].sort()).toEqual(
    table(readme, "of an API key")
      .map(([name]) => code(name!))
      .sort(),
  );
  await tickets.issue({ runs: ["a"], canSignal: true, key: { id: made.id, secretNumber: 1 } });
  await tickets.issue({ workflows: ["a"] });
  const held = (await leftovers(redisUrl, engine.namespace)).filter((key) => key.includes(":ticket:"));
  const stored = new Set((await Promise.all(held.map((key) => redis.hkeys(key)))).flat());
  const [, , told] = table(readme, "key").find(([key]) => key!.includes(":ticket:HASH"))!;
  expect([...stored].sort()).toEqual(/`([^`]+)`/.exec(told!)![1]!.split(" ").sort());
});
