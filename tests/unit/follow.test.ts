import { expect, test } from "vitest";
import { follow } from "../../engine/follow.ts";
import type { ChannelListener, Subscriber } from "../../engine/redis/subscriber.ts";
import type { Store } from "../../engine/store.ts";
import type { WatchMessage } from "../../engine/views.ts";

const LINE = '1 {"type":"run.queued"}';

/** A run of the tenant `acme`, whose channel is heard already since others watch it. */
function followedBy(tenant: string) {
  const taken: WatchMessage[] = [];
  const heard = Promise.withResolvers<void>();
  let listener: ChannelListener | undefined;
  const store = {
    partitionKeys: () => ({ runChannel: () => "channel" }),
    readLog: async () => ({ found: true, stale: false, tenant: "acme", last: 1, status: "running", lines: [LINE] }),
  };
  const subscriber = {
    listen(_: string, given: ChannelListener) {
      listener = given;
      return { heard: heard.promise, leave: () => {} };
    },
  };
  const options = { take: (message: WatchMessage) => taken.push(message) > 0, snapshot: () => Promise.reject() };
  const of = { run: "run", tenant };
  const following = follow(store as unknown as Store, subscriber as unknown as Subscriber, of, options);
  listener!.message(`1\n${LINE}`);
  return { taken, following, heard: () => heard.resolve() };
}

test("what is heard of a run before it is known whose it is, is told to nobody", async () => {
  const { taken, following, heard } = followedBy("other");
  expect(taken).toEqual([]);
  heard();
  await expect(following.ended).rejects.toMatchObject({ code: "not_found" });
  expect(taken).toEqual([]);
});

test("and to its own tenant once", async () => {
  const { taken, following, heard } = followedBy("acme");
  heard();
  await expect.poll(() => taken.map((message) => message.seq)).toEqual([1]);
  following.stop();
  await following.ended;
});
