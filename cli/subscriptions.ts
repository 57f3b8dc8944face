import type { SubscriptionsApi, SubscriptionView } from "../engine/index.ts";
import { connected } from "./operator.ts";
import type { Column, Printer } from "./printer.ts";
import type { Settings } from "./settings.ts";

export type SubscriptionsCommand = { action: "list" } | { action: "resume" | "replay" | "delete"; group: string };

const FIGURES = ["waiting", "inHand", "retrying", "deadLetters", "bytes", "consumers"] as const;
const COLUMNS: readonly Column<SubscriptionView>[] = [
  { name: "group", of: ({ group }) => group },
  ...FIGURES.map((name): Column<SubscriptionView> => ({ name, of: (view) => view[name], isNumber: true })),
  {
    name: "paused",
    of: ({ paused }) => (paused === undefined ? "" : `${paused.reason} since ${paused.since}`),
    style: () => "bad",
  },
];

/** `millrace subscriptions`: shows the groups of other services, and mends them. @throws what `connect` and they throw */
export async function runSubscriptions(command: SubscriptionsCommand, settings: Settings, out: Printer): Promise<void> {
  await connected(settings, ({ subscriptions }) => carryOut(subscriptions, command, out));
}

async function carryOut(subscriptions: SubscriptionsApi, command: SubscriptionsCommand, out: Printer): Promise<void> {
  if (command.action === "list") return out.list({ data: await subscriptions.list() }, COLUMNS);
  const { group } = command;
  if (command.action === "resume") {
    const { missed } = await subscriptions.resume(group);
    out.result({ group, missed }, `missed what came from ${missed.from} to ${missed.to}`);
  } else if (command.action === "replay") {
    const replayed = await subscriptions.replay(group);
    out.result({ group, replayed }, `replayed ${replayed}`);
  } else {
    await subscriptions.delete(group);
    out.result({ group, deleted: true });
  }
}
