import { readFile } from "node:fs/promises";
import { API, SymbolFlags } from "typescript/unstable/sync";
import { expect, test } from "vitest";
import { missing, startProgram } from "../support/process.ts";
import { ROOT } from "../support/run.ts";
import { runtimePaths } from "../support/runtime-path.ts";

const read = async (path: string) => JSON.parse(await readFile(`${ROOT}${path}`, "utf8"));
const manifest = await read("package.json");
const entries = Object.entries(manifest.exports as Record<string, string>).filter(([, file]) => file.endsWith(".ts"));

test("every export of every entry has a comment that says what it is", () => {
  const api = new API();
  try {
    const snapshot = api.updateSnapshot({ openProject: `${ROOT}tsconfig.json` });
    const { checker, program } = snapshot.getProjects()[0]!;
    const exported = entries.flatMap(([entry, file]) => {
      const module = checker.getSymbolAtLocation(program.getSourceFile(ROOT + file.slice(2))!)!;
      return checker.getExportsOfModule(module).map((symbol) => {
        const isAlias = (symbol.flags & SymbolFlags.Alias) !== 0;
        const { name } = symbol;
        const comment = checker.getDocumentationCommentOfSymbol(isAlias ? checker.getAliasedSymbol(symbol) : symbol);
        return { name: `${entry} ${name}`, comment };
      });
    });
    expect(exported.length).toBeGreaterThan(100);
    expect(exported.filter(({ comment }) => comment === "").map(({ name }) => name)).toEqual([]);
  } finally {
    api.close();
  }
});

test("deno.json has the entries, the version and the packages of package.json", async () => {
  const deno = await read("deno.json");
  const { version, license, dependencies, devDependencies, peerDependencies } = manifest;
  expect(deno).toMatchObject({ version, license, exports: Object.fromEntries(entries) });
  // What may be left out is imported by its name only where it is tried here.
  const optional = Object.keys(peerDependencies).filter((name) => name in devDependencies);
  const wanted = { ...dependencies, ...Object.fromEntries(optional.map((name) => [name, devDependencies[name]])) };
  const packages = Object.entries(wanted).map(([name, pinned]) => [name, `npm:${name}@${pinned}`]);
  expect(deno.imports).toEqual(Object.fromEntries(packages));
});

test.skipIf(missing("deno"))("Deno would publish it: every public type is written down", async () => {
  // Types are checked elsewhere, by the compiler of the project.
  const publish = startProgram(runtimePaths.deno!, ["publish", "--dry-run", "--allow-dirty", "--no-check"]);
  const { code } = await publish.exited;
  const output = publish.output();
  expect([code, output.match(/^error.*$/gm), output.trimEnd().split("\n").at(-1)]).toEqual([
    0,
    null,
    "Success Dry run complete",
  ]);
});
