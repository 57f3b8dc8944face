import { describe, expect, test } from "vitest";
import { readSettings, requireRedis, VARIABLES } from "../../cli/settings.ts";
import { parseSteps } from "../../cli/steps.ts";
import { adding, waiting } from "../support/programs/definitions.ts";

const sending = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" };

describe("settings", () => {
  test("have defaults for everything but Redis", () => {
    expect(readSettings({})).toEqual({
      redisUrl: undefined,
      port: 8787,
      host: "127.0.0.1",
      adminPort: undefined,
      adminHost: "127.0.0.1",
      logLevel: "info",
      logFormat: "text",
      namespace: "millrace",
      blobs: ".millrace/blobs",
      durability: "memory",
      gatewayUrl: "http://localhost:8787",
      gatewayKey: undefined,
      webhooks: { allow: [], http: false },
      origins: [],
      jwt: undefined,
      tracing: undefined,
    });
    expect(() => requireRedis(readSettings({}))).toThrow(/REDIS_URL is not set/);
  });

  test("are read from the environment, every variable of the list", () => {
    const env = {
      REDIS_URL: "rediss://user:secret@redis.example:6380/2",
      VALKEY_URL: "redis://other.example",
      PORT: "0",
      HOST: "::",
      MILLRACE_ADMIN_PORT: "9090",
      MILLRACE_ADMIN_HOST: "10.0.0.1",
      LOG_LEVEL: "WARN",
      LOG_FORMAT: "JSON",
      MILLRACE_NAMESPACE: "blue-1",
      MILLRACE_BLOBS: "/var/blobs",
      MILLRACE_DURABILITY: "replicas:2",
      MILLRACE_URL: "https://millrace.example",
      MILLRACE_KEY: "mr_1",
      MILLRACE_WEBHOOKS_ALLOW: "10.1.0.0/16, hooks.internal,",
      MILLRACE_WEBHOOKS_HTTP: "yes",
      MILLRACE_ORIGINS: "https://app.example",
      MILLRACE_JWT_ISSUER: "https://issuer.example",
      MILLRACE_JWT_AUDIENCE: "millrace",
      MILLRACE_JWT_TENANT_CLAIM: "org",
      MILLRACE_JWT_SCOPES_CLAIM: "permissions",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.example/v1/traces",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_SDK_DISABLED: "false",
    };
    expect(Object.keys(env).sort()).toEqual([...VARIABLES].sort());
    expect(readSettings(env)).toEqual({
      redisUrl: env.REDIS_URL,
      port: 0,
      host: "::",
      adminPort: 9090,
      adminHost: "10.0.0.1",
      logLevel: "warning",
      logFormat: "json",
      namespace: "blue-1",
      blobs: "/var/blobs",
      durability: { replicas: 2 },
      gatewayUrl: env.MILLRACE_URL,
      gatewayKey: env.MILLRACE_KEY,
      webhooks: { allow: ["10.1.0.0/16", "hooks.internal"], http: true },
      origins: ["https://app.example"],
      jwt: { issuer: "https://issuer.example", audience: "millrace", tenantClaim: "org", scopesClaim: "permissions" },
      tracing: { protocol: "http/json" },
    });
  });

  test("send spans where one says where to, unless another says not to", () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" };
    expect(readSettings(env).tracing).toEqual({ protocol: "http/protobuf" });
    expect(readSettings({ OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }).tracing).toBeUndefined();
    expect(readSettings({ ...env, OTEL_TRACES_EXPORTER: "none" }).tracing).toBeUndefined();
    expect(readSettings({ ...env, OTEL_SDK_DISABLED: "True" }).tracing).toBeUndefined();
    expect(readSettings({ ...env, OTEL_EXPORTER_OTLP_ENDPOINT: " " }).tracing).toBeUndefined();
  });

  test("take VALKEY_URL where REDIS_URL is not set or empty", () => {
    expect(readSettings({ VALKEY_URL: "redis://a" }).redisUrl).toBe("redis://a");
    expect(readSettings({ REDIS_URL: " ", VALKEY_URL: "redis://a" }).redisUrl).toBe("redis://a");
  });

  test.each([
    [{ PORT: "http" }, "PORT takes a whole number"],
    [{ MILLRACE_URL: "host:1" }, "MILLRACE_URL takes a URL such as http://localhost:8787"],
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
    [
      { MILLRACE_BLOBS: "gopher://a" },
      "MILLRACE_BLOBS takes a directory or a URL such as s3://bucket. There is no store",
    ],
    [
      { MILLRACE_BLOBS: "s3://key:secret@a" },
      "MILLRACE_BLOBS takes a directory or a URL such as s3://bucket. It takes no",
    ],
    [{ REDIS_URL: "localhost:6379" }, "REDIS_URL takes a URL"],
    [{ VALKEY_URL: "http://localhost" }, "VALKEY_URL takes a URL"],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" }, "OTEL_EXPORTER_OTLP_ENDPOINT takes a URL"],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "traces" }, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes a URL"],
    [{ ...sending, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, "OTEL_EXPORTER_OTLP_PROTOCOL takes one of http/protobuf"],
    [{ ...sending, OTEL_TRACES_EXPORTER: "zipkin" }, "OTEL_TRACES_EXPORTER takes otlp or none"],
  ])("refuse %j", (env, message) => {
    expect(() => readSettings(env)).toThrow(message);
  });

  test("repeat no password", () => {
    for (const name of ["REDIS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"])
      expect(() => readSettings({ [name]: "ftp://user:secret@host" })).toThrow(/^(?!.*secret)/);
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
