import { expect, expectTypeOf, test } from "vitest";
import { testKit } from "../../../engine/testing/index.ts";
import { booking } from "../../../workflows/examples/booking.ts";
import { kitOptions } from "../../support/kit.ts";

const input = { trip: "LIS", card: "4000-0002" };

test("a fake takes the place of an undo, and keeps its calls", async () => {
  await using kit = await testKit([booking], kitOptions());
  const [flight, hotel] = [kit.fakeUndo(booking, "flight"), kit.fakeUndo(booking, "hotel")];
  kit.fake(booking, "flight", { flight: "TP1" });
  const run = await kit.run(booking, input);
  expect(run.status).toBe("failed");
  expect(flight.calls).toEqual([{ run: run.id, attempt: 1, input: { input, output: { flight: "TP1" } } }]);
  expectTypeOf(flight.calls[0]!.input.output).toEqualTypeOf<{ flight: string }>();
  expect(hotel.count).toBe(1);
});

test("one that throws is tried again, however long that takes", async () => {
  await using kit = await testKit([booking], kitOptions());
  kit.fakeUndo(booking, "flight");
  const hotel = kit.fakeUndo(booking, "hotel", (_, ctx) => {
    if (ctx.attempt < 20) throw new Error("The hotel does not answer.");
  });
  const run = await kit.run(booking, input);
  expect(run.steps.hotel.undo).toMatchObject({ status: "completed", attempt: 20 });
  expect(hotel.count).toBe(20);
});

test("a step without an undo has none to fake", async () => {
  await using kit = await testKit([booking], kitOptions());
  expect(() => kit.fakeUndo(booking, "charge")).toThrow(/no step.*charge:undo/);
});
