import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { Command } from "commander";
import { beforeEach, expect, test, vi } from "vitest";
import { UsageError } from "../../cli/errors.ts";
import { addInitCommand } from "../../cli/init.ts";
import { ROOT, temporaryDir } from "../support/run.ts";

let dir: string;
beforeEach(async () => {
  dir = await temporaryDir();
});

/** @returns what the command has printed */
async function init(...args: string[]): Promise<string> {
  const print = vi.spyOn(console, "log").mockImplementation(() => {});
  const command = new Command("init").exitOverride().configureOutput({ writeErr: () => {} });
  addInitCommand(command);
  try {
    await command.parseAsync(args, { from: "user" });
    return print.mock.calls.join("\n");
  } finally {
    print.mockRestore();
  }
}

const json = async (path: string) => JSON.parse(await readFile(path, "utf8"));

test("a project asks for this version, and is called as its folder", async () => {
  const said = await init(`${dir}/My App!`);
  expect(said).toContain(`cd ${JSON.stringify(`${dir}/My App!`)}\n  npm install\n  npm start\n`);
  const { version, dependencies } = await json(`${ROOT}package.json`);
  expect(await json(`${dir}/My App!/package.json`)).toMatchObject({
    name: "my-app",
    dependencies: { millrace: `^${version}`, valibot: `^${dependencies.valibot}` },
  });
});

test("a project of each runtime says how it is started there", async () => {
  const starts = { node: "npm start", bun: "bun start", deno: "deno task start" };
  for (const [runtime, start] of Object.entries(starts)) {
    expect(await init(`${dir}/${runtime}`, "--runtime", runtime)).toContain(start);
    expect(await readFile(`${dir}/${runtime}/README.md`, "utf8")).toContain(start);
  }
  expect(await readdir(`${dir}/deno`)).not.toContain("package.json");
});

test("nothing is written beside other files, but what git keeps is none", async () => {
  await writeFile(`${dir}/notes.txt`, "");
  await expect(init(dir)).rejects.toThrow(UsageError);
  expect(await readdir(dir)).toEqual(["notes.txt"]);
  await mkdir(`${dir}/cloned/.git`, { recursive: true });
  await init(`${dir}/cloned`);
  expect(await readdir(`${dir}/cloned`)).toContain("greet.ts");
});

test("a file is no folder, and a runtime is one of three", async () => {
  await writeFile(`${dir}/file`, "");
  for (const path of ["file", "file/inside"])
    await expect(init(`${dir}/${path}`)).rejects.toThrow(/is a file, or lies in one/);
  await expect(init(`${dir}/app`, "--runtime", "rhino")).rejects.toMatchObject({ code: "commander.invalidArgument" });
  expect(await readdir(dir)).toEqual(["file"]);
});
