import { connect, type SubscriptionsApi, type SubscriptionView } from "../engine/index.ts";
import { requireRedis, type Settings } from "./settings.ts";

export type SubscriptionsCommand = { action: "list" } | { action: "resume" | "replay" | "delete"; group: string };

/** `millrace subscriptions`: shows the groups of other services, and mends them. @throws what `connect` and they throw */
export async function runSubscriptions(command: SubscriptionsCommand, settings: Settings): Promise<void> {
  const url = requireRedis(settings);
  const millrace = await connect({ url, namespace: settings.namespace, workflows: [] });
  try {
    await carryOut(millrace.subscriptions, command);
  } finally {
    await millrace.close();
  }
}

async function carryOut(subscriptions: SubscriptionsApi, command: SubscriptionsCommand): Promise<void> {
  switch (command.action) {
    case "list":
      for (const view of await subscriptions.list()) console.log(lineOf(view));
      break;
    case "resume": {
      const { missed } = await subscriptions.resume(command.group);
      console.log(`missed what came from ${missed.from} to ${missed.to}`);
      break;
    }
    case "replay":
      console.log(`replayed ${await subscriptions.replay(command.group)}`);
      break;
    case "delete":
      await subscriptions.delete(command.group);
  }
}

function lineOf({ group, waiting, inHand, retrying, deadLetters, bytes, consumers, paused }: SubscriptionView): string {
  const figures = { waiting, inHand, retrying, deadLetters, bytes, consumers };
  const shown = Object.entries(figures).map(([name, value]) => `${name}=${value}`);
  return [group, ...shown, ...(paused === undefined ? [] : [`paused=${paused.reason} since=${paused.since}`])].join(
    " ",
  );
}
