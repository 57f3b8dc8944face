// node bin/run.mjs vitest run …      the test runner
// node bin/run.mjs some/file.ts …    any file of the project
// Node is preferred here over Bun: vitest's workers are processes of their own only there.
import { fileURLToPath } from "node:url";
import { become, noRuntime, runtimes } from "./runtime.mjs";

const [what, ...rest] = process.argv.slice(2);
const found = runtimes();
const runtime = found.find((each) => each.name === "node") ?? found[0];
if (runtime === undefined || what === undefined) noRuntime();
else if (what === "vitest") {
  const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
  const bun = runtime.name === "bun" ? ["--bun"] : [];
  become(runtime.path, [...bun, vitest, ...rest, ...(bun.length > 0 ? ["--pool=threads"] : [])]);
} else become(runtime.path, [what, ...rest]);
