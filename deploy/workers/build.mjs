// Makes one file of worker.ts: node build.mjs [OUTFILE]
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { edgeBuild } from "millrace/gateway/edge/build";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  ...edgeBuild,
  entryPoints: [here("worker.ts")],
  outfile: process.argv[2] ?? here("dist/worker.js"),
});
