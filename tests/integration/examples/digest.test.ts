import { expect, test } from "vitest";
import { commentPosted, digest, remindAt } from "../../../workflows/examples/digest.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("many comments make one mail, a reminder is made once and sent at its time, and both are found by user", async () => {
  await using engine = await engineUnderTest([digest]);
  const { millrace } = engine;
  await commentPosted(millrace, { user: "ada", unread: 1 });
  await commentPosted(millrace, { user: "ada", unread: 2 });
  const { id: comments } = await commentPosted(millrace, { user: "ada", unread: 3 }, 200);
  const { id: others } = await commentPosted(millrace, { user: "bob", unread: 1 });
  const soon = new Date(Date.now() + 1_000);
  const { id: reminder } = await remindAt(millrace, "ada", 7, soon);
  expect(await remindAt(millrace, "ada", 8, soon)).toMatchObject({ id: reminder, created: false });

  await engine.worker();
  expect(await engine.ended(comments)).toMatchObject({ status: "completed", output: "3 new comments for ada" });
  const reminded = await engine.ended(reminder);
  expect(reminded).toMatchObject({ output: "7 new comments for ada", startsAt: soon.toISOString() });
  expect(reminded.steps.compose!.startedAt! >= soon.toISOString()).toBe(true);
  const found = await millrace.runs.list({ tag: "user:ada" });
  expect(found.data.map(({ id }) => id).sort()).toEqual([comments, reminder].sort());
  expect(await millrace.runs.get(others)).toMatchObject({ status: "queued", tags: ["user:bob", "comments"] });
});
