import type { Redis } from "ioredis";
import { block, readMarkdown } from "../markdown.ts";

/** The user that the README says is enough, as rules for `ACL SETUSER`: of a namespace, or of all whose names begin so. */
export async function leastRights(namespace: string, password: string): Promise<string[]> {
  const text = block(await readMarkdown("README.md"), "acl");
  const [, , ...rules] = text.trim().split(/\s+/);
  return rules.map((rule) => rule.replace("NS", namespace).replace("PASSWORD", password));
}

/** The commands that such rules allow, `name` or `name|subcommand`. */
export function allowed(rules: readonly string[]): string[] {
  return rules.filter((rule) => /^\+[a-z]/.test(rule)).map((rule) => rule.slice(1));
}

const OLDEST = [6, 2] as const;

/** Every command of a server that Redis 6.2 does not have; undefined if the server cannot tell, as 6.2 itself. */
export async function newerCommands(redis: Redis): Promise<string[] | undefined> {
  let docs: unknown[];
  try {
    docs = (await redis.call("COMMAND", "DOCS")) as unknown[];
  } catch {
    return undefined;
  }
  return [...newer(docs)];
}

function* newer(docs: unknown[]): Iterable<string> {
  for (let i = 0; i + 1 < docs.length; i += 2) {
    const of = docs[i + 1] as unknown[];
    const field = (name: string) => of[of.indexOf(name) + 1];
    if (isNewer(String(field("since")))) yield String(docs[i]);
    else if (of.includes("subcommands")) yield* newer(field("subcommands") as unknown[]);
  }
}

function isNewer(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor > OLDEST[1]);
}
