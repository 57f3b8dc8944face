import { type Import, parseFile, type SourceFile } from "./tree.ts";

/** Which folders the files of a folder may import from, themselves aside. Nobody imports cli or tests. */
const BELOW: Record<string, readonly string[]> = {
  cli: ["gateway", "workflows", "engine"],
  gateway: ["workflows", "engine"],
  workflows: ["engine"],
  engine: [],
  bin: [],
};

/** Decides and describes; no I/O. Every other file of the engine may use it, and it uses only itself. */
const PURE_CORE = [
  "workflow",
  "workflow-types",
  "step",
  "batching",
  "step-context",
  "graph",
  "limits",
  "graph-diff",
  "migration-plan",
  "transition",
  "retry",
  "retention-policy",
  "rerun-plan",
  "digest",
  "events",
  "errors",
  "keys",
  "ids",
  "config-reader",
  "schema",
  "trace-context",
  "usage",
  "user-key",
  "views",
].map((name) => `engine/${name}.ts`);

/** Writes to nobody until an application asks for it, so whoever has something to say may use it. */
const LOG = "engine/log.ts";

const INDEX = "engine/index.ts";
const SERVER_DOORS = [
  "engine/blobs/fs.ts",
  "engine/blobs/s3.ts",
  "engine/blobs/azure.ts",
  "engine/redis-blobs.ts",
  "engine/edge-blobs.ts",
  "engine/open-blobs.ts",
  "engine/redis/private/index.ts",
];
/** The engine's door for tests of workflows. */
const TEST_DOOR = "engine/testing/index.ts";
/** What browsers run, and nobody else. */
const DASHBOARD = "gateway/dashboard/app";
/** What strangers send is parsed by a process of its own. */
const PARSER = "workflows/document-analysis/pdf/process";
const MAX_LINES = 300;
/** One for each runtime; what they share stands beside them. */
const ENTRY = /^gateway\/entry\/(bun|deno|node|edge)\.ts$/;
const MAX_ENTRY_LINES = 40;

/**
 * What in a tree of source files goes against the project's layout, one sentence each.
 *
 * @param tree path from the root → text
 * @param longFiles the files that may have more than 300 lines → why
 */
export function violations(tree: ReadonlyMap<string, string>, longFiles: Record<string, string> = {}): string[] {
  const files = [...tree].map(([path, text]) => parseFile(path, text));
  return [...files.flatMap((file) => [...importsOf(file), ...namesOf(file), ...lengthOf(file, longFiles)]), ...stale()];

  function stale(): string[] {
    const isLong = (path: string) => files.some((file) => file.path === path && file.lines > MAX_LINES);
    return Object.keys(longFiles)
      .filter((path) => !isLong(path))
      .map((path) => `${path} is listed as long and is not`);
  }
}

function importsOf(file: SourceFile): string[] {
  if (isIn(file, "tests")) return [];
  return file.imports
    .map((each) => [each, refusal(file, each)] as const)
    .filter(([, reason]) => reason !== undefined)
    .map(([{ target }, reason]) => `${file.path} imports ${target}: ${reason}`);
}

/** Why a file may not import that; undefined if it may. */
function refusal(file: SourceFile, each: Import): string | undefined {
  const from = folder(file.path);
  const to = folder(each.target);
  if (each.target.startsWith("package:")) return "the project does not import itself by its name";
  if (!(to in BELOW) && to !== "tests") return packageRefusal(file, each.target);
  if (from !== to && !BELOW[from]?.includes(to)) return `${from} does not use ${to}`;
  if (from === "engine") return insideEngine(file, each);
  if (isIn(file, DASHBOARD)) return forBrowsers(each);
  if (each.target.startsWith(`${DASHBOARD}/`)) return "the dashboard is for browsers";
  if (to === "engine") return doorRefusal(file, each.target);
  if (from === "gateway" && to === "workflows" && each.target.includes("/steps/"))
    return "gateway uses graphs and schemas only, never a handler";
  return undefined;
}

function packageRefusal(file: SourceFile, name: string): string | undefined {
  const bare = name.replace(/^node:/, "");
  if (name === "ioredis" && !isIn(file, "engine/redis")) return "only engine/redis uses a Redis package";
  if (bare === "process" && !mayNameRuntime(file)) return "only engine/redis, gateway/entry and cli use the process";
  if (/^(fs|child_process)(\/|$)/.test(bare) && !mayUseFiles(file))
    return "only engine/blobs/fs.ts, engine/redis/private, gateway/entry and cli use files and child processes";
  if (PURE_CORE.includes(file.path) && name.startsWith("node:")) return "the pure core does no I/O";
  return undefined;
}

function doorRefusal(file: SourceFile, target: string): string | undefined {
  if (target === INDEX) return undefined;
  if (target === TEST_DOOR)
    return isIn(file, "workflows/examples") ? undefined : "only tests and examples use the test kit";
  const isServer = isIn(file, "cli") || isIn(file, "gateway/entry");
  if (SERVER_DOORS.includes(target) && isServer) return undefined;
  return SERVER_DOORS.includes(target)
    ? "only gateway/entry and cli use the server's doors"
    : "the engine is used through engine/index.ts alone";
}

/** A page has the client library, and of all else the types. */
function forBrowsers({ target, typeOnly }: Import): string | undefined {
  if (target.startsWith(`${DASHBOARD}/`) || target.startsWith("gateway/client/")) return undefined;
  return typeOnly && target === INDEX
    ? undefined
    : "the dashboard uses gateway/client, and of the engine's index the types";
}

function insideEngine(file: SourceFile, { target, typeOnly }: Import): string | undefined {
  if (target === INDEX) return "the engine does not use its own index";
  const isOwn = (part: string) => isIn(file, part) && target.startsWith(`${part}/`);
  const isKit = isIn(file, "engine/testing");
  if (target.startsWith("engine/testing/") && !isKit) return "the test kit is a door of its own";
  if (target.startsWith("engine/redis/private/") && !isIn(file, "engine/redis/private")) {
    if (isKit && SERVER_DOORS.includes(target)) return undefined;
    return "the private server is a door of its own";
  }
  if (PURE_CORE.includes(target)) return undefined;
  if (PURE_CORE.includes(file.path)) {
    if (target === "engine/blobs/blob-store.ts" && typeOnly) return undefined;
    return "the pure core uses only itself";
  }
  if (target === LOG) return undefined;
  if (target.startsWith("engine/scripts/") && !isOwn("engine/scripts") && !runsScripts(file))
    return "only engine/store.ts and engine/store/ run scripts";
  for (const leaf of ["engine/redis", "engine/scripts", "engine/blobs"])
    if (isIn(file, leaf) && !isOwn(leaf)) return `${leaf} uses only itself and the pure core`;
  return undefined;
}

/** The run path's scripts are run by one file, those of each thing beside it by one file of its own. */
function runsScripts(file: SourceFile): boolean {
  return file.path === "engine/store.ts" || isIn(file, "engine/store");
}

function namesOf(file: SourceFile): string[] {
  if (mayNameRuntime(file)) return [];
  return file.globals.map((name) => `${file.path} names ${name}: only engine/redis, gateway/entry and cli may`);
}

function lengthOf(file: SourceFile, longFiles: Record<string, string>): string[] {
  const limit = ENTRY.test(file.path) ? MAX_ENTRY_LINES : MAX_LINES;
  if (file.lines <= limit || file.path in longFiles) return [];
  return [`${file.path} has ${file.lines} lines, more than ${limit}`];
}

function mayNameRuntime(file: SourceFile): boolean {
  return ["engine/redis", "gateway/entry", PARSER, "cli", "bin", "tests"].some((part) => isIn(file, part));
}

function mayUseFiles(file: SourceFile): boolean {
  const places = ["engine/redis/private", "gateway/entry", PARSER, "cli", "bin", "tests"];
  return file.path === "engine/blobs/fs.ts" || places.some((part) => isIn(file, part));
}

function isIn(file: SourceFile, part: string): boolean {
  return file.path.startsWith(`${part}/`);
}

function folder(path: string): string {
  return path.split("/")[0]!;
}
