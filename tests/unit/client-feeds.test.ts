import { expect, test } from "vitest";
import { ManyFeed, type OfMany } from "../../gateway/client/feeds.ts";
import type { Told } from "../../gateway/client/lines.ts";

const event = { type: "run.queued", run: "r", workflow: "w", seq: 1 } as Told;
const cursor = (at: string): Told => ({ type: "cursor", cursor: at, workflow: "w" });

function watched() {
  let isEmpty = false;
  const feed = new ManyFeed({ workflow: "w" }, () => {
    isEmpty = true;
  });
  const watch = () => {
    const told: string[] = [];
    const take = ({ type }: OfMany) => void told.push(type);
    return { told, leave: feed.add({ take, heard() {}, end() {} }) };
  };
  return { feed, watch, isEmpty: () => isEmpty };
}

test("a watcher of many begins once it is said from where, and goes on after the last cursor", () => {
  const { feed, watch } = watched();
  const { told } = watch();
  expect([told, feed.after()]).toEqual([[], undefined]);
  for (const each of [cursor("a"), event, cursor("b"), event]) feed.take(each);
  expect([told, feed.after()]).toEqual([["reset", "run.queued", "run.queued"], "b"]);
  feed.take({ type: "reset", runs: [], workflow: "w" });
  expect(told.at(-1)).toBe("reset");
});

test("one that comes later begins at once, and the last that leaves ends it", () => {
  const { feed, watch, isEmpty } = watched();
  const first = watch();
  feed.take(cursor("a"));
  const second = watch();
  expect(second.told).toEqual(["reset"]);
  first.leave();
  feed.take(event);
  expect([first.told, second.told, isEmpty()]).toEqual([["reset"], ["reset", "run.queued"], false]);
  second.leave();
  second.leave();
  expect(isEmpty()).toBe(true);
});
