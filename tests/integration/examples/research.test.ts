import { expect, test } from "vitest";
import { bill, model, research } from "../../../workflows/examples/research.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("each chapter is paid for once, though the step that writes them is tried twice, and the user is billed", async () => {
  await using engine = await engineUnderTest([research]);
  await engine.worker();
  model.calls = 0;
  const run = await engine.run(research, { topic: "bridges", user: "ann@example.org" });
  expect(run).toMatchObject({ status: "completed", steps: { write: { attempt: 2, progress: 1 } } });
  expect(run.output).toMatchObject({ pages: [expect.stringContaining("the history of bridges"), expect.anything()] });
  expect(model.calls).toBe(4);
  const { tokens } = run.usage!;
  expect(run.steps.outline!.usage!.tokens + run.steps.write!.usage!.tokens).toBe(tokens);
  expect(await bill(engine.millrace, "ann@example.org")).toBe(
    `ann@example.org owes ${run.usage!.cost} for ${tokens} tokens.`,
  );

  const long = await engine.run(research, { topic: "x".repeat(200), user: "bob" });
  expect(long).toMatchObject({ status: "failed", error: { code: "budget_exceeded" }, budget: { tokens: 500 } });
});
