import type { CreateKeyOptions, KeyView, KeyWithSecret, Scope } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { operate, parseTime } from "./operator.ts";
import { type PageCommand, pageOf } from "./options.ts";
import { type Column, clean, type Printer } from "./printer.ts";
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

export interface KeyListOptions extends PageCommand {
  tenant?: string;
}

export interface KeyRotateOptions {
  overlapMs?: number;
  expiresAt?: string;
}

export type KeysCommand =
  | { action: "create"; options: KeyCreateOptions }
  | { action: "list"; options: KeyListOptions }
  | { action: "show"; id: string }
  | { action: "rotate"; id: string; options: KeyRotateOptions }
  | { action: "revoke"; ids: string[] };

const DAY_MS = 86_400_000;

/** A key on one line. */
const COLUMNS: readonly Column<KeyView>[] = [
  { name: "id", of: ({ id }) => id },
  { name: "status", of: ({ status }) => status, style: ({ status }) => (status === "active" ? "good" : "bad") },
  { name: "tenant", of: ({ tenant }) => tenant },
  { name: "name", of: ({ name }) => name },
  { name: "scopes", of: ({ scopes }) => scopes.join(",") },
  { name: "expires", of: ({ expiresAt }) => expiresAt },
  { name: "last used", of: ({ lastUsedAt }) => lastUsedAt },
];

/**
 * `millrace keys`: makes, shows, rotates and revokes API keys. A secret is printed once, on standard output and alone there.
 *
 * @throws UsageError, NotFoundError, ConflictError, UnavailableError
 */
export async function runKeys(command: KeysCommand, settings: Settings, out: Printer): Promise<void> {
  const options = command.action === "create" ? creation(command.options) : undefined;
  await operate(settings, async ({ access: { keys } }) => {
    switch (command.action) {
      case "create":
        return show(await keys.create(options!), out);
      case "rotate":
        return show(await keys.rotate(command.id, rotation(command.options)), out);
      case "list": {
        const { tenant, ...page } = command.options;
        return out.list(await keys.list({ ...pageOf(page), ...(tenant === undefined ? {} : { tenant }) }), COLUMNS);
      }
      case "show": {
        const key = await keys.get(command.id);
        return out.result(key, detailsOf(key));
      }
      case "revoke":
        for (const id of command.ids) {
          const key = await keys.revoke(id);
          out.line(key, out.lines([key], COLUMNS).join("\n"));
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

function show({ secret, ...view }: KeyWithSecret, out: Printer): void {
  out.result({ ...view, secret }, secret);
  if (!out.json) out.note(`${out.lines([view], COLUMNS).join("\n")}\nThe secret is shown this once.`);
}

function detailsOf({ scopes, rateLimit, quota, ...plain }: KeyView): string {
  const lines = {
    ...plain,
    scopes: scopes.join(","),
    ...(rateLimit === undefined ? {} : { requests: `${rateLimit.requests} in ${rateLimit.windowMs} ms` }),
    ...(quota?.runsPerDay === undefined ? {} : { runsPerDay: quota.runsPerDay }),
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}\t${clean(value)}`)
    .join("\n");
}
