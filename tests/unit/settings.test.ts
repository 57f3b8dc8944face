import { describe, expect, test } from "vitest";
import { readSettings, requireRedis, VARIABLES } from "../../cli/settings.ts";
import { parseSteps } from "../../cli/steps.ts";
import { adding, waiting } from "../support/programs/definitions.ts";

describe("settings", () => {
  test("have defaults for everything but Redis", () => {
    expect(readSettings({})).toEqual({
      redisUrl: undefined,
      port: 8787,
      host: "127.0.0.1",
      logLevel: "info",
      namespace: "millrace",
      blobs: ".millrace/blobs",
      durability: "memory",
      webhooks: { allow: [], http: false },
    });
    expect(() => requireRedis(readSettings({}))).toThrow(/REDIS_URL is not set/);
  });

  test("are read from the environment, every variable of the list", () => {
    const env = {
      REDIS_URL: "rediss://user:secret@redis.example:6380/2",
      VALKEY_URL: "redis://other.example",
      PORT: "0",
      HOST: "::",
      LOG_LEVEL: "WARN",
      MILLRACE_NAMESPACE: "blue-1",
      MILLRACE_BLOBS: "/var/blobs",
      MILLRACE_DURABILITY: "replicas:2",
      MILLRACE_WEBHOOKS_ALLOW: "10.1.0.0/16, hooks.internal,",
      MILLRACE_WEBHOOKS_HTTP: "yes",
    };
    expect(Object.keys(env).sort()).toEqual([...VARIABLES].sort());
    expect(readSettings(env)).toEqual({
      redisUrl: env.REDIS_URL,
      port: 0,
      host: "::",
      logLevel: "warning",
      namespace: "blue-1",
      blobs: "/var/blobs",
      durability: { replicas: 2 },
      webhooks: { allow: ["10.1.0.0/16", "hooks.internal"], http: true },
    });
  });

  test("take VALKEY_URL where REDIS_URL is not set or empty", () => {
    expect(readSettings({ VALKEY_URL: "redis://a" }).redisUrl).toBe("redis://a");
    expect(readSettings({ REDIS_URL: " ", VALKEY_URL: "redis://a" }).redisUrl).toBe("redis://a");
  });

  test.each([
    [{ PORT: "http" }, "PORT takes a whole number"],
    [{ PORT: "65536" }, "PORT takes a whole number"],
    [{ PORT: "-1" }, "PORT takes a whole number"],
    [{ PORT: "1e3" }, "PORT takes a whole number"],
    [{ LOG_LEVEL: "loud" }, "LOG_LEVEL takes one of"],
    [{ MILLRACE_NAMESPACE: "a:b" }, "MILLRACE_NAMESPACE takes"],
    [{ MILLRACE_NAMESPACE: "x".repeat(41) }, "MILLRACE_NAMESPACE takes"],
    [{ MILLRACE_DURABILITY: "replicated" }, "MILLRACE_DURABILITY takes memory, disk or replicas:N"],
    [{ MILLRACE_DURABILITY: "replicas:0" }, "MILLRACE_DURABILITY, of replicas, takes a whole number from 1"],
    [
      { MILLRACE_WEBHOOKS_ALLOW: "10.0.0.0/8,*.internal" },
      'MILLRACE_WEBHOOKS_ALLOW takes a list with commas between. "*.internal"',
    ],
    [{ MILLRACE_WEBHOOKS_HTTP: "true" }, "MILLRACE_WEBHOOKS_HTTP takes yes or no"],
    [{ REDIS_URL: "localhost:6379" }, "REDIS_URL takes a URL"],
    [{ VALKEY_URL: "http://localhost" }, "VALKEY_URL takes a URL"],
  ])("refuse %j", (env, message) => {
    expect(() => readSettings(env)).toThrow(message);
  });

  test("repeat no password", () => {
    expect(() => readSettings({ REDIS_URL: "http://user:secret@host" })).toThrow(/^(?!.*secret)/);
  });
});

describe("--steps", () => {
  const served = (list: string) => {
    const serves = parseSteps(list, [adding, waiting]);
    return [adding, waiting].flatMap(({ name, steps }) =>
      steps.filter((step) => serves(name, step.name)).map((step) => `${name}/${step.name}`),
    );
  };

  test.each([
    ["one", ["adding/one"]],
    ["one, wait", ["adding/one", "waiting/wait"]],
    ["adding/two", ["adding/two"]],
    ["adding/*", ["adding/one", "adding/two"]],
    ["adding/one,waiting/*", ["adding/one", "waiting/wait"]],
  ])("%s", (list, expected) => {
    expect(served(list)).toEqual(expected);
  });

  test.each(["three", "adding/wait", "other/*", "", "one,,two", "*"])("refuses %j", (list) => {
    expect(() => served(list)).toThrow(/there is no step .* There are: adding\/one, adding\/two, waiting\/wait/);
  });
});
