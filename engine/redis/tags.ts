import { Command } from "ioredis";
import type { Call } from "./client.ts";

/** The places of calls that go together: those with one hash tag, a call without a key with the one after it. */
export function byTag(calls: readonly Call[]): number[][] {
  const parts = new Map<string, number[]>();
  let keyless: number[] = [];
  for (const [i, [name, ...args]] of calls.entries()) {
    const [key] = new Command(name, args).getKeys();
    if (key === undefined) {
      keyless.push(i);
      continue;
    }
    const tag = tagOf(String(key));
    const part = parts.get(tag) ?? [];
    parts.set(tag, part);
    part.push(...keyless, i);
    keyless = [];
  }
  const [first] = parts.values();
  if (first === undefined) return keyless.length === 0 ? [] : [keyless];
  first.push(...keyless);
  return [...parts.values()];
}

/** What decides in which slot a key is: of two keys with one tag, the same. */
export function tagOf(key: string): string {
  return /\{([^}]+)\}/.exec(key)?.[1] ?? key;
}
