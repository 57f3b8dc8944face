import type { Command } from "commander";
import { expect, test } from "vitest";
import { EXIT } from "../../cli/errors.ts";
import { EXAMPLES, leavesOf, SERVERS } from "../../cli/help.ts";
import { makeProgram } from "../../cli/program.ts";
import { code, readMarkdown, table } from "../support/markdown.ts";
import { startFile } from "../support/process.ts";

const nothing = async () => {};
const program = makeProgram({
  ...{ dev: nothing, gateway: nothing, worker: nothing, config: nothing, schedules: nothing, keys: nothing },
  ...{ runs: nothing, deadLetters: nothing, versions: nothing, subscriptions: nothing },
  ...{ pause: nothing, resume: nothing, paused: nothing, doctor: nothing, queues: nothing, upload: nothing },
});
const leaves = leavesOf(program);

async function millrace(...args: string[]) {
  const command = startFile("node", "cli/main.ts", { args, env: { REDIS_URL: "redis://127.0.0.1:1" } });
  const { code } = await command.exited;
  return { code, output: command.output() };
}

/** What a command line would do, as far as options and arguments go. */
function refusalOf(command: Command, line: string): string | undefined {
  const [, ...words] = line.slice(line.indexOf("millrace ")).match(/'[^']*'|[^\s|)]+/g)!;
  const end = words.indexOf("jq") < 0 ? words.length : words.indexOf("jq");
  const args = words.slice(command.parent!.parent === null ? 1 : 2, end).map((word) => word.replaceAll("'", ""));
  const { operands, unknown } = command.parseOptions(args);
  const wanted = command.registeredArguments.filter((each) => each.required).length;
  return unknown.length > 0 || operands.length < wanted ? line : undefined;
}

test("every command has an example that it takes, and no example is of another", () => {
  expect(leaves.map(({ path }) => path).sort()).toEqual(Object.keys(EXAMPLES).sort());
  for (const { path, command } of leaves)
    expect([path, refusalOf(command, EXAMPLES[path]!)]).toEqual([path, undefined]);
});

test("all that do something and end take --json", () => {
  for (const { path, command } of leaves)
    expect([path, command.options.some(({ long }) => long === "--json")]).toEqual([path, !SERVERS.includes(path)]);
});

test("an option of one name takes the same kind of value in every command that does something and ends", () => {
  const kinds = new Map<string, Set<string>>();
  for (const { path, command } of leaves)
    for (const { long, flags } of SERVERS.includes(path) ? [] : command.options)
      kinds.set(long!, (kinds.get(long!) ?? new Set()).add(flags.split(" ").slice(1).join(" ")));
  const several = [...kinds].filter(([, flags]) => flags.size > 1).map(([long]) => long);
  // Events come after a number, dead letters after a time; a rerun begins from a step, a migration from a version.
  expect(several.sort()).toEqual(["--after", "--from"]);
});

test("the README's table of exit codes has every one", async () => {
  const told = table(await readMarkdown("README.md"), "ends with").map(([each]) => Number(code(each!)));
  expect(told).toEqual([...Object.values(EXIT), 130]);
});

test("--help shows the example and the exit codes, and an unknown command or option is told what it may have meant", async () => {
  const [help, watch, command, verb, option, away] = await Promise.all([
    millrace("--help"),
    millrace("runs", "watch", "--help"),
    millrace("rusn"),
    millrace("runs", "lsit"),
    millrace("runs", "list", "--limt", "3"),
    millrace("runs", "list"),
  ]);
  expect(help).toMatchObject({ code: 0, output: expect.stringMatching(/^ {2}4 {2}Redis or the gateway/m) });
  expect(watch).toMatchObject({ code: 0, output: expect.stringContaining(`Example:\n  ${EXAMPLES["runs watch"]}`) });
  expect(command).toMatchObject({ code: 2, output: expect.stringContaining("Did you mean runs?") });
  expect(verb).toMatchObject({ code: 2, output: expect.stringContaining("Did you mean list?") });
  expect(option).toMatchObject({ code: 2, output: expect.stringContaining("Did you mean --limit?") });
  expect(away).toMatchObject({ code: 4, output: expect.stringMatching(/^millrace: Redis at 127\.0\.0\.1:1 is not/) });
});
