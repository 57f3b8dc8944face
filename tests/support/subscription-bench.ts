import { expect } from "vitest";
import type { Reply } from "../../engine/store.ts";
import type { Delivery } from "../../engine/subscriptions/delivery.ts";
import { type SubscriptionSettings, subscriptionSettings } from "../../engine/subscriptions/settings.ts";
import { changes } from "./state.ts";
import { StoreBench } from "./store.ts";

export const settings: SubscriptionSettings = subscriptionSettings({
  group: "ann",
  events: ["run.queued", "run.completed"],
});

/** What is told of a run that is queued. */
export const QUEUED = 'run=RUN tenant=default workflow=two version=1 seq=1 line=T {"type":"run.queued"}';

/** What a test of the scripts of subscriptions does with a store. */
export class SubscriptionBench extends StoreBench {
  /** What is different after an act that comes to something. */
  async changed(act: () => Promise<unknown>, expected: unknown) {
    const before = await this.state();
    expect(await act()).toEqual(expected);
    return changes(before, await this.state());
  }

  subscribe(given = settings): Promise<Reply> {
    return this.subscriptions.subscribe(given);
  }

  /** A subscription to which one event was told, and that in bob's hands. */
  async delivered(): Promise<Delivery> {
    await this.subscribe();
    await this.admit();
    const [delivery] = await this.subscriptions.read(this.client, "ann", "bob", 1, 1);
    return delivery!;
  }
}
