// Bundles the dashboard into one module that every runtime can import: gateway/dashboard/built/assets.js.
// With --check it only says whether that is of the sources as they are.
// Plain JavaScript, because `npm ci` runs it on whichever Node there is.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const app = join(root, "gateway/dashboard/app");
const built = join(root, "gateway/dashboard/built/assets.js");
const TYPES = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
};

const esbuild = await import("esbuild").catch((error) => {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  console.log("The dashboard is not built: esbuild is not installed, as it is with the development packages.");
});
if (esbuild !== undefined) await build(esbuild);

async function build({ build }) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(app, "main.tsx"), join(app, "styles/main.css"), join(app, "icon.svg")],
    loader: { ".svg": "copy" },
    outdir: "out",
    entryNames: "[name]-[hash]",
    ...{
      bundle: true,
      minify: true,
      write: false,
      metafile: true,
      format: "esm",
      target: "es2022",
      legalComments: "none",
    },
    ...{ jsx: "automatic", jsxImportSource: "preact", absWorkingDir: root, logLevel: "warning" },
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const files = {};
  for (const { path, text } of outputFiles) files[basename(path)] = asset(text, TYPES[path.split(".").at(-1)]);
  const licenses = asset(await licensesOf(Object.keys(metafile.inputs)), TYPES.txt);
  files[`licenses-${licenses.digest.slice(0, 8)}.txt`] = licenses;
  const named = (kind) => Object.keys(files).find((name) => name.endsWith(kind));
  const template = await readFile(join(app, "index.html"), "utf8");
  const html = template.replaceAll(/%(js|css|svg|txt)%/g, (_, kind) => `/assets/${named(`.${kind}`)}`);
  const page = asset(html, "text/html; charset=utf-8");
  const text = `export const page = ${JSON.stringify(page)};\nexport const files = ${JSON.stringify(files)};\n`;
  if (process.argv.includes("--check")) return check(text);
  await mkdir(dirname(built), { recursive: true });
  await writeFile(built, text);
  const bytes = [page, ...Object.values(files)].reduce((sum, { text }) => sum + gzipSync(text).byteLength, 0);
  console.log(`The dashboard is built: ${(bytes / 1_024).toFixed(1)} KB gzipped.`);
}

/** What the licenses of the packages in the bundle want to be handed on with it. */
async function licensesOf(inputs) {
  const packages = new Set(inputs.flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
  const read = (name) => readFile(join(root, "node_modules", name, "LICENSE"), "utf8");
  const texts = [...packages].sort().map(async (name) => `${name}\n\n${(await read(name)).trim()}\n`);
  return (await Promise.all(texts)).join("\n\n");
}

async function check(text) {
  if ((await readFile(built, "utf8").catch(() => "")) === text) return;
  console.error("The dashboard is not built of its sources as they are: npm run build:dashboard");
  process.exitCode = 1;
}

function asset(text, type) {
  return { type, text, digest: createHash("sha256").update(text).digest("hex").slice(0, 16) };
}
