import { expect, test } from "vitest";
import { bundleForEdge, inBundle } from "../support/edge-bundle.ts";

const MOST_KB = 8;

test("the client library is small, and has nothing in it but itself", async () => {
  const bundle = await bundleForEdge('export * from "./gateway/client/index.ts";', true);
  const { files, builtins } = inBundle(bundle);
  const kilobytes = bundle.gzippedSize() / 1_024;
  console.log(`gateway/client/index.ts: ${kilobytes.toFixed(1)} KB gzipped`);
  expect(builtins).toEqual([]);
  expect(files.filter((file) => !file.startsWith("gateway/client/"))).toEqual(["edge-entry.ts"]);
  expect(files).toContain("gateway/client/live.ts");
  expect(kilobytes).toBeLessThanOrEqual(MOST_KB);
});

test("the hooks have nothing in them but themselves, the client and React", async () => {
  const { files, builtins } = inBundle(await bundleForEdge('export * from "./gateway/client/react/index.ts";'));
  const others = files.filter((file) => !/^(gateway\/client|node_modules\/react)\//.test(file));
  expect([others, builtins]).toEqual([["edge-entry.ts"], []]);
  expect(files).toContain("gateway/client/react/shared.ts");
});
