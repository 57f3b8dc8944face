import * as v from "valibot";
import { FatalError, type StepContext, workflow } from "../../engine/index.ts";

/**
 * A trip is booked as a whole or not at all: a flight and a hotel at the same time, then the card is charged. Each step says
 * how to take back what it has done. When the card is declined, or the run is cancelled, what was booked is cancelled, the
 * last booking first.
 *
 *   const { id } = await millrace.runs.start(booking, { trip: "LIS", card: "4000-0002" });
 *   for await (const event of millrace.watch(id)) …   // step.failed of charge; step.completed, with data {undo: true}, of
 *                                                     // hotel and flight; run.failed is the last
 */
export const booking = workflow("booking", { input: v.object({ trip: v.string(), card: v.string() }) })
  .step("flight", {
    run: async ({ trip }, ctx) => ({ flight: await airline(ctx).book(trip) }),
    undo: ({ output }, ctx) => airline(ctx).cancel(output.flight),
  })
  .step("hotel", {
    after: [],
    run: async ({ trip }, ctx) => ({ room: await hotels(ctx).book(trip) }),
    undo: ({ output }, ctx) => hotels(ctx).cancel(output.room),
    // A room that stays booked costs money: this is tried for longer than the booking was.
    undoRetry: { attempts: 20, maxMs: 3_600_000 },
  })
  .step("bookings", { after: ["flight", "hotel"], run: ({ flight, hotel }) => ({ ...flight, ...hotel }) })
  .step("card", { after: [], run: ({ card }) => card })
  .step("charge", {
    after: ["bookings", "card"],
    run: async ({ bookings, card }) => {
      if (card.endsWith("0002")) throw new FatalError("The card was declined.", { code: "card_declined" });
      return { ...bookings, charged: true };
    },
  });

/** Stands for a service with an API: it takes an Idempotency-Key, so that an attempt that is repeated books once. */
class Bookings {
  readonly kept = new Map<string, string>();

  of({ idempotencyKey, run }: StepContext) {
    return {
      book: async (what: string) => {
        const number = `${what}-${run.id}`;
        this.kept.set(number, idempotencyKey);
        return number;
      },
      /** Cancelling twice is fine. */
      cancel: async (number: string) => void this.kept.delete(number),
    };
  }
}

export const flights = new Bookings();
export const rooms = new Bookings();
const airline = (ctx: StepContext) => flights.of(ctx);
const hotels = (ctx: StepContext) => rooms.of(ctx);
