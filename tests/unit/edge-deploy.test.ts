import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { readGatewaySettings } from "../../gateway/settings.ts";
import { bundleForEdge, inBundle } from "../support/edge-bundle.ts";
import { block, code, readMarkdown, table } from "../support/markdown.ts";
import { startFile } from "../support/process.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { COMPATIBILITY_DATE, SHIPPED_WORKER } from "../support/workerd.ts";

const page = await readMarkdown("deploy/README.md");
const source = (path: string) => readFile(`${ROOT}${path}`, "utf8");

test("the Worker of the page is the one that the suite runs", async () => {
  expect(block(page, "ts worker.ts").trim()).toBe((await source(SHIPPED_WORKER)).trim());
});

test("what deploys it names what it exports and reads", async () => {
  const config = JSON.parse(await source("deploy/workers/wrangler.jsonc"));
  expect(config.durable_objects.bindings).toEqual([{ name: "MILLRACE_GATEWAY", class_name: "MillraceGateway" }]);
  expect(config.migrations).toEqual([{ tag: "v1", new_sqlite_classes: ["MillraceGateway"] }]);
  expect([config.compatibility_date, config.compatibility_flags]).toEqual([COMPATIBILITY_DATE, ["nodejs_compat"]]);
  expect(readGatewaySettings(config.vars)).toMatchObject({ blobs: config.vars.MILLRACE_BLOBS });
});

test("the page's table of bindings has every one that is read", async () => {
  const files = ["gateway/settings.ts", "engine/edge-blobs.ts", "workflows/inference/server.ts"];
  const text = (await Promise.all(files.map(source))).join("\n");
  const read = [...text.matchAll(/(?:\benv\.|value\(|isYes\()"?([A-Z]+_[A-Z_]+)/g)].map(([, name]) => name!);
  const told = table(page, "binding").flatMap(([names]) =>
    names!.split(",").map((name) => code(name.replace("or", ""))),
  );
  expect(told.sort()).toEqual([...new Set(read)].sort());
});

test("its build makes one file of it, without handlers", async () => {
  const outfile = `${await temporaryDir()}/worker.js`;
  const built = startFile("node", "deploy/workers/build.mjs", { args: [outfile] });
  expect([(await built.exited).code, built.output()]).toEqual([0, ""]);
  expect(await readFile(outfile, "utf8")).toMatch(/export\{\w+ as MillraceGateway,\w+ as default\}/);
  const { files } = inBundle(await bundleForEdge(await source(SHIPPED_WORKER)));
  expect(files.filter((file) => file.includes("/steps/") && !file.startsWith("handler:"))).toEqual([]);
});
