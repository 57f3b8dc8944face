import { expect, test } from "vitest";
import { letters, sendNewsletter, sendReset } from "../../../workflows/examples/priorities.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("a password reset does not wait for the newsletter", async () => {
  await using engine = await engineUnderTest([letters], { partitions: 1 });
  const newsletter = await sendNewsletter(
    engine.millrace,
    Array.from({ length: 60 }, (_, i) => `reader ${i}`),
  );
  const reset = await sendReset(engine.millrace, "Ada");
  await engine.worker({ concurrency: 1 });
  const { endedAt, output, priority } = await engine.ended(reset);
  expect([output, priority]).toEqual([{ to: "Ada" }, "high"]);
  const others = await Promise.all(newsletter.map((id) => engine.ended(id)));
  expect(others.every(({ status }) => status === "completed")).toBe(true);
  expect(others.filter((other) => other.endedAt! < endedAt!).length).toBeLessThan(10);
});
