import type { CreateKeyOptions, KeysApi, KeyView, KeyWithSecret, Scope } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { operate, parseTime, print } from "./operator.ts";
import type { Settings } from "./settings.ts";

/** As the command line has them. */
export interface KeyCreateOptions {
  name: string;
  scopes: string;
  tenant?: string;
  expiresAt?: string;
  days?: number;
  requests?: number;
  windowMs?: number;
  runsPerDay?: number;
}

export interface KeyListOptions {
  tenant?: string;
  limit: number;
  cursor?: string;
}

export interface KeyRotateOptions {
  overlapMs?: number;
  expiresAt?: string;
}

/** `json`: prints what the library gives, as JSON. */
export type KeysCommand = { json?: boolean } & (
  | { action: "create"; options: KeyCreateOptions }
  | { action: "list"; options: KeyListOptions }
  | { action: "show"; id: string }
  | { action: "rotate"; id: string; options: KeyRotateOptions }
  | { action: "revoke"; ids: string[] }
);

const DAY_MS = 86_400_000;

/**
 * `millrace keys`: makes, shows, rotates and revokes API keys. A secret is printed once, on standard output and alone there.
 *
 * @throws UsageError, NotFoundError, ConflictError, UnavailableError
 */
export async function runKeys(command: KeysCommand, settings: Settings): Promise<void> {
  const options = command.action === "create" ? creation(command.options) : undefined;
  await operate(settings, async ({ access: { keys } }) => {
    switch (command.action) {
      case "create":
        return show(command.json, await keys.create(options!));
      case "rotate":
        return show(command.json, await keys.rotate(command.id, rotation(command.options)));
      case "list":
        return list(command.json, keys, command.options);
      case "show":
        return (command.json ? print : details)(await keys.get(command.id));
      case "revoke":
        for (const id of command.ids) {
          const view = await keys.revoke(id);
          if (command.json) print(view);
          else console.log(lineOf(view));
        }
        return;
    }
  });
}

function creation(options: KeyCreateOptions): CreateKeyOptions {
  const { name, tenant, days, requests, windowMs, runsPerDay } = options;
  if (options.expiresAt !== undefined && days !== undefined) throw new UsageError("Give --expires-at or --days.");
  if ((requests === undefined) !== (windowMs === undefined))
    throw new UsageError("--requests and --window-ms go together.");
  const expiresAt = days === undefined ? endOf(options) : { expiresAt: new Date(Date.now() + days * DAY_MS) };
  return {
    name,
    scopes: options.scopes.split(",").map((scope) => scope.trim() as Scope),
    ...(tenant === undefined ? {} : { tenant }),
    ...expiresAt,
    ...(requests === undefined ? {} : { rateLimit: { requests, windowMs: windowMs! } }),
    ...(runsPerDay === undefined ? {} : { quota: { runsPerDay } }),
  };
}

function rotation(options: KeyRotateOptions): { overlapMs?: number; expiresAt?: Date } {
  return { ...(options.overlapMs === undefined ? {} : { overlapMs: options.overlapMs }), ...endOf(options) };
}

function endOf({ expiresAt }: { expiresAt?: string }): { expiresAt?: Date } {
  return expiresAt === undefined ? {} : { expiresAt: parseTime("--expires-at", expiresAt) };
}

function show(json: boolean | undefined, { secret, ...view }: KeyWithSecret): void {
  if (json) print({ ...view, secret });
  else {
    console.log(secret);
    console.error(`${lineOf(view)}\nThe secret is shown this once.`);
  }
}

async function list(json: boolean | undefined, keys: KeysApi, options: KeyListOptions): Promise<void> {
  const page = await keys.list(options);
  if (json) {
    print(page);
    return;
  }
  for (const key of page.data) console.log(lineOf(key));
  if (page.next !== undefined) console.log(`more: --cursor ${page.next}`);
}

/** A key on one line. */
function lineOf({ id, status, tenant, name, scopes, expiresAt, lastUsedAt }: KeyView): string {
  const more = [
    ...(expiresAt === undefined ? [] : [`expires ${expiresAt}`]),
    ...(lastUsedAt === undefined ? [] : [`last used ${lastUsedAt}`]),
  ];
  return [id, status, tenant, name, scopes.join(","), ...more].join("  ");
}

function details({ scopes, rateLimit, quota, ...plain }: KeyView): void {
  const lines = {
    ...plain,
    scopes: scopes.join(","),
    ...(rateLimit === undefined ? {} : { requests: `${rateLimit.requests} in ${rateLimit.windowMs} ms` }),
    ...(quota?.runsPerDay === undefined ? {} : { runsPerDay: quota.runsPerDay }),
  };
  for (const [name, value] of Object.entries(lines)) console.log(`${name}  ${value}`);
}
