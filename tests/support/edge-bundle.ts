import { gzipSync } from "node:zlib";
import { build, type Metafile } from "esbuild";
import { edgeBuild } from "../../gateway/edge/build.ts";
import { ROOT } from "./run.ts";

export interface Bundle {
  metafile: Metafile;
  /** Of everything, in bytes. */
  gzippedSize(): number;
}

/** Bundles a program as workerd would load it; the files stay in memory. Without `minify` it is much quicker. */
export async function bundleForEdge(source: string, minify = false): Promise<Bundle> {
  const result = await build({
    stdin: { contents: source, resolveDir: ROOT, sourcefile: "edge-entry.ts", loader: "ts" },
    ...edgeBuild,
    minify,
    metafile: true,
    write: false,
    outfile: "worker.js",
    absWorkingDir: ROOT,
    logLevel: "silent",
  });
  const gzippedSize = () => result.outputFiles.reduce((sum, file) => sum + gzipSync(file.contents).byteLength, 0);
  return { metafile: result.metafile, gzippedSize };
}

/** Everything that is in the bundle, and every module that it asks the platform for, dynamic imports included. */
export function inBundle({ metafile }: Bundle): { files: string[]; builtins: string[] } {
  const builtins = Object.values(metafile.outputs).flatMap(({ imports }) =>
    imports.filter((each) => each.external).map((each) => each.path),
  );
  return { files: Object.keys(metafile.inputs).sort(), builtins: [...new Set(builtins)].sort() };
}

/** Which packages something of is in it, each once. */
export function packagesIn(bundle: Bundle): string[] {
  const names = Object.values(bundle.metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .flatMap(([path]) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []),
  );
  return [...new Set(names)].sort();
}
