import { isBuiltin } from "node:module";
import { gzipSync } from "node:zlib";
import { build, type Metafile, type Plugin } from "esbuild";
import { ROOT } from "./run.ts";

const ENTRY = "edge-entry.ts";

export interface Bundle {
  metafile: Metafile;
  /** Of everything, in bytes. */
  gzippedSize(): number;
}

/** Bundles a program as workerd would load it; the files stay in memory. Without `minify` it is much quicker. */
export async function bundleForEdge(source: string, minify = false): Promise<Bundle> {
  const result = await build({
    stdin: { contents: source, resolveDir: ROOT, sourcefile: ENTRY, loader: "ts" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    target: "es2023",
    conditions: ["workerd", "worker", "import", "module"],
    mainFields: ["module", "main"],
    minify,
    metafile: true,
    write: false,
    outdir: "out",
    absWorkingDir: ROOT,
    logLevel: "silent",
    plugins: [builtins],
  });
  const gzippedSize = () => result.outputFiles.reduce((sum, file) => sum + gzipSync(file.contents).byteLength, 0);
  return { metafile: result.metafile, gzippedSize };
}

/** workerd has Node's modules under `node:` alone, and only for `import`: a `require` of one becomes that. */
const builtins: Plugin = {
  name: "builtins",
  setup(build) {
    build.onResolve({ filter: /^[a-z:_/]+$/ }, ({ path, kind }) => {
      if (!isBuiltin(path)) return undefined;
      const name = path.startsWith("node:") ? path : `node:${path}`;
      return kind === "require-call" ? { path: name, namespace: "required-builtin" } : { path: name, external: true };
    });
    build.onLoad({ filter: /.*/, namespace: "required-builtin" }, ({ path }) => ({
      contents: `import * as all from ${JSON.stringify(path)}; module.exports = all.default ?? all;`,
      loader: "js",
    }));
  },
};

/** What the chunk of the entry reaches without a dynamic import: files of the project and packages, and `node:` modules. */
export function reachedAtStart({ metafile }: Bundle): { files: string[]; builtins: string[] } {
  const files = new Set<string>();
  const builtins = new Set<string>();
  // What is imported dynamically has chunks of its own, that are entry points as well.
  const entry = Object.keys(metafile.outputs).find((path) => metafile.outputs[path]!.entryPoint === ENTRY)!;
  const seen = new Set<string>();
  for (const todo = [entry]; todo.length > 0; ) {
    const path = todo.pop()!;
    if (seen.has(path)) continue;
    seen.add(path);
    const output = metafile.outputs[path]!;
    for (const file of Object.keys(output.inputs)) files.add(file);
    for (const each of output.imports) {
      if (each.kind === "dynamic-import") continue;
      if (each.external) builtins.add(each.path);
      else todo.push(each.path);
    }
  }
  return { files: [...files].sort(), builtins: [...builtins].sort() };
}

/** Everything that is in the bundle, and every module that it asks the platform for, dynamic imports included. */
export function inBundle({ metafile }: Bundle): { files: string[]; builtins: string[] } {
  const builtins = Object.values(metafile.outputs).flatMap(({ imports }) =>
    imports.filter((each) => each.external).map((each) => each.path),
  );
  return { files: Object.keys(metafile.inputs).sort(), builtins: [...new Set(builtins)].sort() };
}
