import type { Command } from "commander";
import type { KeyCreateOptions, KeyListOptions, KeyRotateOptions, KeysCommand } from "./keys.ts";
import { paged, whole } from "./options.ts";

const MOST_DAYS = 36_500;
const MONTH_MS = 30 * 86_400_000;

/** The commands about API keys. */
export function addKeyCommands(keys: Command, act: (command: KeysCommand) => Promise<void>): void {
  keys.description("make, see, rotate and revoke the keys of those who use the gateway");
  keys
    .command("create")
    .description("make one; its secret is printed this once")
    .requiredOption("--name <name>", "what people know it by")
    .requiredOption("--scopes <list>", "what it may do, such as runs:read,runs:write; or admin")
    .option("--tenant <id>", "whose everything is that it makes (default: default)")
    .option("--expires-at <time>", "from then on it does not work, such as 2030-01-31T09:00:00Z")
    .addOption(whole("--days <n>", "it works for so many days", 1, MOST_DAYS))
    .addOption(whole("--requests <n>", "so many requests at once, and as many again in each --window-ms", 1, 1_000_000))
    .addOption(whole("--window-ms <ms>", "of --requests", 1_000, 86_400_000))
    .addOption(whole("--runs-per-day <n>", "no more runs in a UTC day", 1, 1_000_000_000))
    .action((options: KeyCreateOptions) => act({ action: "create", options }));
  paged(keys.command("list"))
    .description("the newest, one a line; revoked and expired ones for 30 days")
    .option("--tenant <id>", "of this tenant")
    .action((options: KeyListOptions) => act({ action: "list", options }));
  keys
    .command("show <id>")
    .description("all that is known of one, but for its secret")
    .action((id: string) => act({ action: "show", id }));
  keys
    .command("rotate <id>")
    .description("give it another secret, which is printed this once; the one before works on for a while")
    .addOption(whole("--overlap-ms <ms>", "for how long; 0: no longer (default: a day)", 0, MONTH_MS))
    .option("--expires-at <time>", "another end of the key")
    .action((id: string, options: KeyRotateOptions) => act({ action: "rotate", id, options }));
  keys
    .command("revoke <id...>")
    .description("end keys: they work no more, within 10 s everywhere")
    .action((ids: string[]) => act({ action: "revoke", ids }));
}
