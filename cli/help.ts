import { type Command, Option } from "commander";
import { EXIT, EXIT_WORDS } from "./errors.ts";

/** Of each command one that does something. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  dev: "millrace dev --port 8787",
  gateway: "REDIS_URL=redis://localhost:6379 millrace gateway --workflows greet.ts",
  worker: "REDIS_URL=redis://localhost:6379 millrace worker --workflows greet.ts --steps greet/count --concurrency 8",
  doctor: "MILLRACE_DURABILITY=disk millrace doctor",
  queues: "millrace queues --workflow greet --watch",
  upload: "millrace upload paper.pdf --workflow document-analysis --watch",
  pause: "millrace pause --workflow greet --step count",
  resume: "millrace resume --workflow greet --step count",
  paused: "millrace paused",
  "config get": "millrace config get quote.limit",
  "config set": "millrace config set quote.new-prices '{\"percent\": 10}'",
  "config list": "millrace config list quote.",
  "config delete": "millrace config delete quote.limit",
  "schedules list": "millrace schedules list --json",
  "schedules create":
    "millrace schedules create nightly --workflow greet --input '{\"name\": \"Ada\"}' --cron '30 2 * * *' --time-zone Europe/Berlin",
  "schedules pause": "millrace schedules pause nightly",
  "schedules resume": "millrace schedules resume nightly",
  "schedules delete": "millrace schedules delete nightly",
  "schedules trigger": "millrace schedules trigger nightly --workflows greet.ts",
  "subscriptions list": "millrace subscriptions list",
  "subscriptions resume": "millrace subscriptions resume billing",
  "subscriptions replay": "millrace subscriptions replay billing",
  "subscriptions delete": "millrace subscriptions delete billing",
  "runs list": "millrace runs list --workflow greet --status failed --limit 100",
  "runs show": "millrace runs show $RUN",
  "runs watch": "millrace runs watch $RUN --json | jq -r .type",
  "runs start": 'RUN=$(millrace runs start greet --workflows greet.ts --input \'{"name": "Ada"}\')',
  "runs cancel": "millrace runs cancel $RUN",
  "runs signal": "millrace runs signal $RUN decision --data '{\"approved\": true}'",
  "runs delete": "millrace runs delete $RUN",
  "runs rerun": "millrace runs rerun $RUN --from count",
  "dead-letters list": "millrace dead-letters list --workflow greet --after 2026-01-31T12:00:00Z",
  "dead-letters show": "millrace dead-letters show $LETTER",
  "dead-letters replay": "millrace dead-letters replay --workflow greet --error-code rate_limited",
  "dead-letters discard": "millrace dead-letters discard --before 2026-01-01T00:00:00Z",
  "versions list": "millrace versions list greet",
  "versions migrate": "millrace versions migrate greet --from 1 --to 2 --dry-run",
  "versions retire": "millrace versions retire greet 1",
  init: "millrace init hello --runtime node",
  "keys create": "KEY=$(millrace keys create --name ci --scopes runs:read,runs:write --days 90)",
  "keys list": "millrace keys list --tenant acme",
  "keys show": "millrace keys show $ID",
  "keys rotate": "millrace keys rotate $ID --overlap-ms 3600000",
  "keys revoke": "millrace keys revoke $ID",
};

/** What serves until it is stopped: it says what it does in its log. */
export const SERVERS = ["dev", "gateway", "worker"];

/** Gives every command its example, those that do something and end `--json`, and the program its exit codes. */
export function dress(program: Command): void {
  const codes = Object.entries(EXIT).map(([name, code]) => `  ${code}  ${EXIT_WORDS[name as keyof typeof EXIT]}`);
  program.addHelpText("after", `\nEvery command that ends does so with\n${codes.join("\n")}`);
  for (const { path, command } of leavesOf(program)) {
    if (!SERVERS.includes(path)) command.addOption(new Option("--json", "print JSON"));
    command.addHelpText("after", `\nExample:\n  ${EXAMPLES[path]}`);
  }
}

/** The commands that do something, by their whole names. */
export function leavesOf(command: Command, parent = ""): { path: string; command: Command }[] {
  return command.commands.flatMap((each) => {
    const path = `${parent} ${each.name()}`.trim();
    return each.commands.length === 0 ? [{ path, command: each }] : leavesOf(each, path);
  });
}
