// node bin/build.mjs          makes the package of the sources in dist/; `npm pack ./dist` packs it
// node bin/build.mjs DIR      in a folder that is not there yet
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const [, , given] = process.argv;
const dist = given === undefined ? join(root, "dist") : resolve(given);

if (given === undefined) rmSync(dist, { recursive: true, force: true });
else if (existsSync(dist)) {
  console.error(`${dist} is there already.`);
  process.exit(1);
}
const tsc = join(root, "node_modules/typescript/bin/tsc");
const compiled = spawnSync(process.execPath, [tsc, "--project", "tsconfig.build.json", "--outDir", dist], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(1);

// What it shows to people is bundled, not compiled.
const dashboard = "gateway/dashboard/built/assets.js";
const bundled = spawnSync(process.execPath, [join(root, "bin/build-dashboard.mjs")], { stdio: "inherit" });
if (bundled.status !== 0) process.exit(1);
mkdirSync(join(dist, dirname(dashboard)), { recursive: true });
copyFileSync(join(root, dashboard), join(dist, dashboard));

for (const path of filesOf(dist)) {
  const text = readFileSync(path, "utf8");
  writeFileSync(path, path.endsWith(".d.ts") ? withBuiltImports(text) : withBuiltUrls(text));
}

const sources = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const manifest = published(sources);
const declared = declarationsOf(manifest.exports);
for (const path of filesOf(dist)) if (path.endsWith(".d.ts") && !declared.has(path)) rmSync(path);

const command = join(dist, "cli/main.js");
writeFileSync(command, `#!/usr/bin/env node\n${readFileSync(command, "utf8")}`);
chmodSync(command, 0o755);
for (const file of ["README.md", "LICENSE"]) copyFileSync(join(root, file), join(dist, file));
writeFileSync(join(dist, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

/** The compiler renames what code imports, and leaves what declarations do. */
function withBuiltImports(text) {
  return text.replaceAll(/(\bfrom |\bimport\()("\.\.?\/[^"]+)\.ts"/g, '$1$2.js"');
}

/** Nor does it rename what is started by its URL. */
function withBuiltUrls(text) {
  return text.replaceAll(/(\bnew URL\("\.\.?\/[^"]+)\.ts", import\.meta\.url\)/g, '$1.js", import.meta.url)');
}

/** What the package says of itself: the checkout's own words, but for what only a checkout has or does. */
function published({ exports, ...checkout }) {
  const { name, version, description, license, type, dependencies } = checkout;
  const { peerDependencies, peerDependenciesMeta } = checkout;
  return {
    ...{ name, version, description, license, type },
    engines: { node: ">=22" },
    bin: { millrace: "./cli/main.js" },
    exports: Object.fromEntries(Object.entries(exports).map(([entry, source]) => [entry, builtEntry(source)])),
    // What is started rather than imported.
    sideEffects: ["./cli/main.js", "./workflows/document-analysis/pdf/process/*.js"],
    ...{ dependencies, peerDependencies, peerDependenciesMeta },
  };
}

function builtEntry(source) {
  if (!source.endsWith(".ts")) return source;
  const built = source.slice(0, -".ts".length);
  return { types: `${built}.d.ts`, default: `${built}.js` };
}

/** The declarations that whoever imports the package can come to; nobody reads the others. */
function declarationsOf(exports) {
  const found = new Set();
  const todo = Object.values(exports).flatMap(({ types }) => (types === undefined ? [] : [join(dist, types)]));
  for (const path of todo) {
    if (found.has(path)) continue;
    found.add(path);
    for (const [, name] of readFileSync(path, "utf8").matchAll(/\b(?:from |import\()"(\.[^"]+)\.js"/g))
      todo.push(join(dirname(path), `${name}.d.ts`));
  }
  return found;
}

function filesOf(dir) {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
