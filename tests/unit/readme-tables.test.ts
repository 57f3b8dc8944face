import { readFile } from "node:fs/promises";
import { upgradeWebSocket } from "@hono/node-server";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { makeProgram } from "../../cli/program.ts";
import { readSettings, VARIABLES } from "../../cli/settings.ts";
import { connect } from "../../engine/index.ts";
import { openDoor } from "../../gateway/access/open-door.ts";
import { createApp } from "../../gateway/app.ts";
import { DEFAULT_LIMITS } from "../../gateway/limits.ts";
import { CLOSE } from "../../gateway/live/close-codes.ts";
import { startTerms, termsOf } from "../../gateway/schemas.ts";
import { SCOPES_CLAIM, TENANT_CLAIM } from "../../gateway/settings.ts";
import { block, code, readMarkdown, table } from "../support/markdown.ts";
import { adding } from "../support/programs/definitions.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";

const readme = await readMarkdown("README.md");
const source = (path: string) => readFile(`${ROOT}${path}`, "utf8");

test("the README's table of calls has every route, and no other", async () => {
  const millrace = await connect({ url: redisUrl, namespace: freshNamespace(), workflows: [adding] });
  const { routes } = createApp({ millrace, door: openDoor, upgradeWebSocket });
  await millrace.close();
  const there = routes.filter(({ method }) => method !== "ALL");
  const calls = there.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
  const told = table(readme, "call").map(([call]) => code(call!));
  expect(told.sort()).toEqual([...new Set(calls)].sort());
});

test("the README's table of a start's options has every one, with its name in the library", () => {
  const told = table(readme, "field").map(([field, option]) => [code(field!), code(option!)]);
  const sent = { delay: 1, runAt: "2030-01-01T00:00:00Z", ttl: 1, deadline: 1, tags: ["a"] };
  const taken = termsOf({ ...sent, dedupe: { mode: "simple", key: "k" } });
  const inOrder = (names: (string | undefined)[]) => names.sort();
  expect(inOrder(told.map(([field]) => field))).toEqual(inOrder(Object.keys(startTerms)));
  expect(inOrder(told.map(([, option]) => option))).toEqual(inOrder(Object.keys(taken)));
});

test("the README's table of limits has every limit with its default, and no other", () => {
  const told = table(readme, "limit").map(([name, value]) => [code(name!), Number(value)]);
  expect(told).toEqual(Object.entries(DEFAULT_LIMITS));
});

test("the README's table of figures has every one that is counted or read, and no other", async () => {
  const files = ["gateway/metrics/metrics.ts", "gateway/metrics/shared.ts", "cli/worker-metrics.ts"];
  const sources = await Promise.all([...files, "cli/process-figures.ts"].map(source));
  const named = sources.flatMap((text) => [...text.matchAll(/"((?:millrace|process)_\w+)"/g)].map(([, name]) => name!));
  expect(
    table(readme, "figure")
      .map(([name]) => code(name!))
      .sort(),
  ).toEqual(named.sort());
});

test("the README's table of options has every option of every command, and no other", () => {
  const nothing = async () => {};
  const { commands } = makeProgram({
    ...{ dev: nothing, gateway: nothing, worker: nothing, config: nothing, schedules: nothing },
    ...{ runs: nothing, deadLetters: nothing, versions: nothing, subscriptions: nothing },
    ...{ pause: nothing, resume: nothing, paused: nothing, keys: nothing },
    ...{ doctor: nothing, queues: nothing, upload: nothing },
  });
  const withUsage = (command: Command, parent = ""): { name: string; command: Command }[] => {
    const names = [parent, command.name(), ...command.registeredArguments.map((each) => each.name().toUpperCase())];
    const name = names.filter((each) => each !== "").join(" ");
    return command.commands.length === 0
      ? [{ name, command }]
      : command.commands.flatMap((each) => withUsage(each, name));
  };
  const there = commands
    .flatMap((command) => withUsage(command))
    .flatMap(({ name, command }) => [
      name,
      ...command.options.filter((each) => !each.hidden && each.long !== "--json").map((each) => `${name} ${each.long}`),
    ]);
  let command = "";
  const told = table(readme, "command").map(([name, option]) => {
    command = code(name!) || command;
    return `${command} ${code(option!).split(" ")[0]}`.trim();
  });
  expect(told).toEqual(there);
});

test("the README's table of variables has every setting with its default, and no other", () => {
  const settings = readSettings({});
  const { port, host, adminHost, logLevel, logFormat, namespace, blobs, durability, webhooks } = settings;
  const ofWebhooks = [String(webhooks.allow), webhooks.http ? "yes" : "no"];
  const ofTokens = ["", "", "", TENANT_CLAIM, SCOPES_CLAIM];
  const ofServing = [String(port), host, "", adminHost, logLevel, logFormat];
  const ofGateway = [settings.gatewayUrl, ""];
  const defaults = ["", "", ...ofServing, namespace, blobs, String(durability), ...ofGateway];
  defaults.push(...ofWebhooks, ...ofTokens);
  const { tracing } = readSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" });
  defaults.push("", "", tracing!.protocol, "", "otlp", "false");
  const told = table(readme, "variable").map(([name, value]) => [code(name!), code(value!)]);
  expect(told).toEqual(VARIABLES.map((name, i) => [name, defaults[i]]));
});

test("the README's table of close codes has those that the gateway closes sockets with, and a broken connection's", () => {
  const told = table(readme, "closed with").map(([closed]) => Number(code(closed!)));
  expect(told).toEqual([...Object.values(CLOSE), 1006].sort());
});

test("the README names no other variable than those that are read", async () => {
  const ofServer = [...(await source("workflows/inference/server.ts")).matchAll(/env\.(\w+)/g)].map(
    ([, name]) => name!,
  );
  const ofTests = [...(await source("tests/support/documents.ts")).matchAll(/env\.(\w+)/g)].map(([, name]) => name!);
  const named = new Set([...readme.text.matchAll(/\b[A-Z]+_[A-Z_]+\b/g)].map(([name]) => name));
  const blobs = (await source("engine/open-blobs.ts")) + (await source("engine/edge-blobs.ts"));
  const ofBlobs = [...blobs.matchAll(/\benv\.(\w+)/g)].map(([, name]) => name!);
  const ofPrinter = [...(await source("cli/printer.ts")).matchAll(/env\.([A-Z_]+)/g)].map(([, name]) => name!);
  const ofRuntimes = ["NODE_EXTRA_CA_CERTS", ...ofPrinter];
  const ofSdk = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_HEADERS"];
  ofSdk.push("OTEL_BSP_SCHEDULE_DELAY");
  const withUnderscore = [...VARIABLES, ...ofServer, ...ofTests, ...ofBlobs, ...ofRuntimes, ...ofSdk].filter((name) =>
    name.includes("_"),
  );
  expect([...named].sort()).toEqual([...new Set(withUnderscore)].sort());
});

test("the README's stream of events listens to types that there are", async () => {
  const types = [...block(readme, "js stream.js").matchAll(/"((?:run|step)\.\w+)"/g)].map(([, type]) => type!);
  const known = await source("engine/events.ts");
  for (const type of types) expect(known).toContain(`"${type}"`);
  expect(types).toContain("run.completed");
});
