import { isBuiltin } from "node:module";
import type { BuildOptions, Plugin } from "esbuild";

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

/** Handlers, which stand in folders `steps` and are loaded lazily, are the workers' alone. */
const handlers: Plugin = {
  name: "handlers",
  setup(build) {
    build.onResolve({ filter: /(^|\/)steps\// }, ({ path, kind }) =>
      kind === "dynamic-import" ? { path, namespace: "handler" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "handler" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not in this bundle: steps are done by workers.`)});`,
      loader: "js",
    }));
  },
};

/** What can do nothing on workerd, by its module, and what stands for it. */
const IDLE: [module: RegExp, instead: string][] = [
  // It prints what ioredis does where the variable DEBUG names it.
  [
    /node_modules[\\/]debug[\\/]/,
    "const idle = () => Object.assign(() => {}, { enabled: false }); idle.default = idle; module.exports = idle;",
  ],
  // Certificates of authorities, of which workerd trusts none but those that it is given itself.
  [/ioredis[\\/]built[\\/]constants[\\/]TLSProfiles/, "exports.default = {};"],
];

const idle: Plugin = {
  name: "idle",
  setup(build) {
    for (const [filter, contents] of IDLE) build.onLoad({ filter }, () => ({ contents, loader: "js" }));
  },
};

/** With which options esbuild makes one file of a Worker that exports `edgeGateway`'s; `entryPoints` and `outfile` are to be added. */
export const edgeBuild = {
  bundle: true,
  format: "esm",
  platform: "neutral",
  target: "es2023",
  conditions: ["workerd", "worker", "import", "module"],
  mainFields: ["module", "main"],
  minify: true,
  plugins: [builtins, handlers, idle],
} satisfies BuildOptions;
