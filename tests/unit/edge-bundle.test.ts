import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bundleForEdge, inBundle, reachedAtStart } from "../support/edge-bundle.ts";
import { ROOT } from "../support/run.ts";

const HANDLER = /^workflows\/.*\/steps\//;
const PARSER = /node_modules\/(unpdf|pdfjs|mammoth|read-excel-file|chrono-node|tinyld|ai|@ai-sdk)\//;
const FILES = /^(node:)?fs(\/|$)/;

describe("the gateway, bundled for workerd", () => {
  test("has no handler, no parser of documents and no files in it", async () => {
    const bundle = await bundleForEdge('export { createApp } from "./gateway/app.ts";', true);
    const { files, builtins } = inBundle(bundle);
    console.log(
      `gateway/app.ts for workerd: ${(bundle.gzippedSize() / 1_024).toFixed(0)} KB gzipped; ${builtins.join(" ")}`,
    );
    expect(files).toContain("gateway/routes/documents.ts");
    expect(files.filter((file) => HANDLER.test(file) || PARSER.test(file))).toEqual([]);
    expect(builtins.filter((name) => FILES.test(name))).toEqual([]);
  });

  test.skipIf(!existsSync(`${ROOT}workflows/index.ts`))("loads no handler with the workflows' graphs", async () => {
    const bundle = await bundleForEdge(
      'import { createApp } from "./gateway/app.ts"; import * as workflows from "./workflows/index.ts";' +
        "export default { createApp, workflows };",
    );
    const { files, builtins } = reachedAtStart(bundle);
    // They are there, behind a dynamic import: what is looked for could have been found.
    expect(inBundle(bundle).files.filter((file) => HANDLER.test(file))).not.toEqual([]);
    expect(files).toContain("workflows/index.ts");
    expect(files.filter((file) => HANDLER.test(file) || PARSER.test(file))).toEqual([]);
    expect(builtins.filter((name) => FILES.test(name))).toEqual([]);
  });

  test("can have the blobs in S3 with it, at a small price", async () => {
    const bundle = await bundleForEdge('export { s3Blobs } from "./engine/blobs/s3.ts";', true);
    const { files, builtins } = inBundle(bundle);
    const kilobytes = bundle.gzippedSize() / 1_024;
    console.log(`engine/blobs/s3.ts for workerd: ${kilobytes.toFixed(0)} KB gzipped; ${builtins.join(" ")}`);
    expect(files).toContain("engine/blobs/s3-objects.ts");
    expect(builtins).toEqual(["node:crypto"]);
    expect(kilobytes).toBeLessThan(20);
  });

  test("would be caught with a file system in it", async () => {
    const bundle = await bundleForEdge('export * from "./gateway/app.ts"; export * from "./engine/blobs/fs.ts";');
    expect(inBundle(bundle).builtins.filter((name) => FILES.test(name))).toEqual(["node:fs/promises"]);
  });
});
