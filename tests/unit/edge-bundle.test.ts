import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bundle, bundleForEdge, inBundle, packagesIn } from "../support/edge-bundle.ts";
import { ROOT } from "../support/run.ts";
import { SHIPPED_WORKER } from "../support/workerd.ts";

const HANDLER = /^workflows\/.*\/steps\//;
const PARSER = /node_modules\/(unpdf|pdfjs|mammoth|read-excel-file|chrono-node|tinyld|ai|@ai-sdk)\//;
const FILES = /^(node:)?fs(\/|$)/;

/** Every package that the Worker with the shipped workflows has, and what for. */
const PACKAGES: Record<string, string> = {
  "@borewit/text-codec": "of file-type",
  "@ioredis/commands": "of ioredis",
  "@logtape/logtape": "what is logged",
  "@opentelemetry/api": "where requests and runs are in traces; its SDK is not there",
  "@tokenizer/inflate": "of file-type",
  "@valibot/to-json-schema": "/openapi.json and /docs",
  aws4fetch: "blobs in S3",
  "cluster-key-slot": "of ioredis",
  croner: "schedules",
  debug: "of ioredis, idle",
  denque: "of ioredis",
  "file-type": "what an upload is",
  hono: "the app",
  ieee754: "of file-type",
  ioredis: "Redis",
  "ipaddr.js": "where webhooks may be sent",
  jose: "tokens of issuers",
  multipasta: "uploads as forms",
  "redis-errors": "of ioredis",
  "standard-as-callback": "of ioredis",
  strtok3: "of file-type",
  "token-types": "of file-type",
  "uint8array-extras": "of file-type",
  uuid: "ids",
  valibot: "what requests are held to",
};
/** Minified and gzipped, of everything: of about 375 the dashboard's files are 82, Redis' client 45, the engine 82 and its scripts 35, the gateway 57. */
const MOST_KILOBYTES = 385;

describe("the Worker with the shipped workflows, bundled for workerd", () => {
  let bundle: Bundle;
  beforeAll(async () => {
    bundle = await bundleForEdge(await readFile(`${ROOT}${SHIPPED_WORKER}`, "utf8"), true);
  });

  test("has no handler, no parser of documents and no files in it", () => {
    const { files, builtins } = inBundle(bundle);
    expect(files).toContain("gateway/routes/documents.ts");
    expect(files).toContain("workflows/document-analysis/workflow.ts");
    // What stands for those that are left out.
    expect(files).toContain("handler:./steps/extract.ts");
    expect(files.filter((file) => HANDLER.test(file) || PARSER.test(file))).toEqual([]);
    expect(builtins.filter((name) => FILES.test(name))).toEqual([]);
  });

  test("has these packages, and no other", () => {
    expect(packagesIn(bundle)).toEqual(Object.keys(PACKAGES).sort());
  });

  test("is one file of a size that is known", () => {
    const kilobytes = bundle.gzippedSize() / 1_024;
    console.log(`${SHIPPED_WORKER}: ${kilobytes.toFixed(0)} KB gzipped; ${inBundle(bundle).builtins.join(" ")}`);
    expect(Object.keys(bundle.metafile.outputs)).toHaveLength(1);
    expect(kilobytes).toBeLessThan(MOST_KILOBYTES);
  });

  test("has the blobs in S3 in it at a small price", async () => {
    const s3 = await bundleForEdge('export { s3Blobs } from "./engine/blobs/s3.ts";', true);
    expect(inBundle(s3).files).toContain("engine/blobs/s3-objects.ts");
    expect(inBundle(s3).builtins).toEqual(["node:crypto"]);
    expect(s3.gzippedSize() / 1_024).toBeLessThan(20);
  });

  test("would be caught with a file system or a handler in it", async () => {
    const files = await bundleForEdge('export * from "./gateway/app.ts"; export * from "./engine/blobs/fs.ts";');
    expect(inBundle(files).builtins.filter((name) => FILES.test(name))).toEqual(["node:fs/promises"]);
    const step = "workflows/document-analysis/steps/segment.ts";
    expect(inBundle(await bundleForEdge(`export * from "./${step}";`)).files).toContain(step);
  });
});
