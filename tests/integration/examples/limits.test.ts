import { expect, test } from "vitest";
import { summaries, waitingUsers } from "../../../workflows/examples/limits.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { Gates } from "../../support/gates.ts";

test("a user who has sent many letters waits for them, and nobody else does", async () => {
  const gates = new Gates();
  const never = new AbortController().signal;
  const definition = summaries(async (prompt) => {
    await gates.pass(prompt, never);
    return { text: `short: ${prompt.length}`, tokens: 10 };
  });
  await using engine = await engineUnderTest([definition], { partitions: 1 });
  const { runs } = engine.millrace;
  await engine.worker();
  const letter = async (user: string, text: string) => (await runs.start(definition, { user, letter: text })).id;
  const many = await Promise.all(Array.from({ length: 5 }, (_, n) => letter("ann", `ann ${n}`)));
  await Promise.all(many.map((id) => engine.until(id, ({ type }) => type === "run.waiting" || type === "run.started")));
  const one = await letter("bob", "bob");
  gates.open("Sum up: bob");
  expect(await engine.ended(one)).toMatchObject({ status: "completed", output: "short: 11" });
  expect(await waitingUsers(engine.millrace)).toEqual(["ann", "ann", "ann"]);
  for (let n = 0; n < 5; n += 1) gates.open(`Sum up: ann ${n}`);
  for (const id of many) expect(await engine.ended(id)).toMatchObject({ status: "completed" });
});
