import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { CommandError, UsageError } from "./errors.ts";
import { COMMANDS, projectFiles, type Versions } from "./init-files.ts";
import { type RuntimeName, runtimeName } from "./runtime.ts";

const RUNTIMES: readonly RuntimeName[] = ["node", "bun", "deno"];

/** The command that makes a project. It needs no Redis and no settings. */
export function addInitCommand(init: Command): void {
  init
    .description("make a new project: a workflow, its test, and how to start them")
    .argument("<dir>")
    .addOption(new Option("--runtime <name>", "what will run it (default: what runs this)").choices(RUNTIMES))
    .action(async (dir: string, { runtime = runtimeName() }: { runtime?: RuntimeName }) => {
      console.log(await initProject(dir, runtime));
    });
}

/**
 * Writes a project into a folder that is new or empty, but for what git keeps there.
 *
 * @returns what to do next, in lines
 * @throws UsageError for a folder that has something in it, or a path that can be none; CommandError if it cannot be written
 */
async function initProject(dir: string, runtime: RuntimeName): Promise<string> {
  const path = resolve(dir);
  await emptyFolder(path, dir);
  const files = projectFiles({ name: nameOf(path), runtime, versions: await versions() });
  try {
    // Whatever came there meanwhile is not written over.
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text, { flag: "wx" });
  } catch (cause) {
    throw new CommandError(`${dir} cannot be written: ${(cause as Error).message}`, { cause });
  }
  const { install, start, test } = COMMANDS[runtime];
  const there = path === process.cwd() ? [] : [`  cd ${/^[\w./-]+$/.test(dir) ? dir : JSON.stringify(dir)}`];
  return [
    `${path} has ${Object.keys(files).join(", ")}. Now:`,
    "",
    ...there,
    `  ${install}`,
    `  ${start}`,
    "",
    `and ${test} for its test.`,
  ].join("\n");
}

async function emptyFolder(path: string, asGiven: string): Promise<void> {
  let names: string[];
  try {
    await mkdir(path, { recursive: true });
    names = await readdir(path);
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    if (code === "EEXIST" || code === "ENOTDIR")
      throw new UsageError(`${asGiven} is a file, or lies in one. Give the name of a new folder.`, { cause });
    throw new CommandError(`${asGiven} cannot be made: ${(cause as Error).message}`, { cause });
  }
  if (names.some((name) => name !== ".git"))
    throw new UsageError(`${asGiven} has files in it. Give the name of a new folder, or an empty one.`);
}

/** As a package may be called: of the folder's name what can stand there. */
function nameOf(path: string): string {
  const name = basename(path)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replaceAll(/^[._-]+|[._-]+$/g, "")
    .slice(0, 100);
  // It would ask for itself.
  return name === "" || name === "millrace" ? "millrace-project" : name;
}

/** What a project is given of Millrace and of what goes with it: the same as this has. */
async function versions(): Promise<Versions> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  const { version, dependencies } = JSON.parse(text) as { version: string; dependencies: { valibot: string } };
  return { millrace: `^${version}`, valibot: `^${dependencies.valibot}` };
}
