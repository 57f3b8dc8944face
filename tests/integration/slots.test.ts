import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";

test("a worker whose steps are all at their own limits waits for them, and does nothing else meanwhile", async () => {
  const gates = new Gates();
  let most = 0;
  let now = 0;
  const limited = workflow("limited", { input: v.object({}) }).step("one", {
    concurrency: 1,
    run: async (_, ctx) => {
      most = Math.max(most, ++now);
      await gates.pass("go", ctx.signal);
      now -= 1;
    },
  });
  await using engine = await engineUnderTest([limited]);
  const worker = await engine.worker({ concurrency: 8 });
  const runs = await Promise.all([1, 2, 3].map(() => engine.millrace.runs.start(limited, {})));
  // Events and timers of this process must go on while the only slot is taken.
  for await (const event of engine.millrace.watch(runs[0]!.id)) if (event.type === "step.started") break;
  gates.open("go");
  for (const { id } of runs) expect((await engine.ended(id)).status).toBe("completed");
  expect(most).toBe(1);
  expect(worker.silentMs).toBeLessThan(5_000);
});
