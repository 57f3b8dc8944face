import * as v from "valibot";
import { type Millrace, type StartedRun, workflow } from "../../engine/index.ts";

/** A mail that sums up what is new for a user. Whatever holds it up, after ten minutes it is not worth sending. */
export const digest = workflow("digest", {
  input: v.object({ user: v.string(), unread: v.number() }),
  deadlineMs: 10 * 60_000,
})
  .step("compose", ({ user, unread }) => ({ to: user, subject: `${unread} new comments` }))
  .step("send", ({ to, subject }, ctx) => {
    ctx.log.info("sent {subject} to {to}", { to, subject });
    return `${subject} for ${to}`;
  });

/** A comment has come for a user: one mail, with the last count, once none has come for `quietMs`. */
export function commentPosted(
  { runs }: Millrace,
  comment: { user: string; unread: number },
  quietMs = 60_000,
): Promise<StartedRun> {
  return runs.start(digest, comment, {
    dedupe: { key: comment.user, mode: "debounce", windowMs: quietMs, maxWaitMs: 10 * quietMs },
    tags: [`user:${comment.user}`, "comments"],
  });
}

/** A mail at that time, however often it is asked for that day; none at all if nobody could start it within an hour. */
export function remindAt({ runs }: Millrace, user: string, unread: number, runAt: Date): Promise<StartedRun> {
  const day = runAt.toISOString().slice(0, 10);
  return runs.start(
    digest,
    { user, unread },
    {
      runAt,
      ttlMs: 60 * 60_000,
      dedupe: { key: `${user} ${day}`, mode: "simple", windowMs: 24 * 60 * 60_000 },
      tags: [`user:${user}`, "reminders"],
    },
  );
}
