import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { dashboard } from "../../gateway/dashboard/serve.ts";
import { startProgram } from "../support/process.ts";
import { ROOT } from "../support/run.ts";

const MOST_KB = 120;
const APP = "gateway/dashboard/app";
/** What is in the bundle beside the dashboard's own sources and the client library. */
const PACKAGES = ["@dagrejs/dagre", "@preact/signals", "@preact/signals-core", "preact", "uplot"];

test("the dashboard that is served is built of its sources as they are", async () => {
  const check = startProgram(process.execPath, [`${ROOT}bin/build-dashboard.mjs`, "--check"]);
  expect((await check.exited).code, check.output()).toBe(0);
});

test("the dashboard is small, and has nothing in it but itself, the client and what it names", async () => {
  const { metafile } = await build({
    ...{ entryPoints: [`${ROOT}${APP}/main.tsx`], bundle: true, write: false, metafile: true, absWorkingDir: ROOT },
    ...{ format: "esm", jsx: "automatic", jsxImportSource: "preact", outdir: "out" },
  });
  const files = Object.keys(metafile.inputs);
  const packages = files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
  expect([...new Set(packages.filter((name) => name !== undefined))].sort()).toEqual(PACKAGES);
  const own = files.filter((file) => !file.startsWith("node_modules/"));
  expect(own.filter((file) => !file.startsWith(`${APP}/`) && !file.startsWith("gateway/client/"))).toEqual([]);

  const built = await dashboard();
  const sizes = [built!.page, ...Object.values(built!.files)].map(({ text }) => gzipSync(text).byteLength);
  const kilobytes = sizes.reduce((sum, size) => sum + size, 0) / 1_024;
  console.log(
    `the dashboard: ${kilobytes.toFixed(1)} KB gzipped; ${own.length} files of its own, ${PACKAGES.join(", ")}`,
  );
  expect(kilobytes).toBeLessThanOrEqual(MOST_KB);
});
