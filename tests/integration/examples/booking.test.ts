import { expect, test } from "vitest";
import { booking, flights, rooms } from "../../../workflows/examples/booking.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("a trip is booked as a whole or not at all", async () => {
  await using engine = await engineUnderTest([booking]);
  await engine.worker();
  const paid = await engine.run(booking, { trip: "LIS", card: "4000-0001" });
  expect(paid).toMatchObject({ status: "completed", output: { charged: true } });
  expect([flights.kept.size, rooms.kept.size]).toEqual([1, 1]);

  const declined = await engine.run(booking, { trip: "LIS", card: "4000-0002" });
  expect(declined).toMatchObject({ status: "failed", error: { code: "card_declined" } });
  expect(declined.steps).toMatchObject({ flight: { undo: { status: "completed" } }, hotel: { undo: { attempt: 1 } } });
  expect([flights.kept.size, rooms.kept.size]).toEqual([1, 1]);
});
