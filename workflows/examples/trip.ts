import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

const input = v.object({ city: v.string(), nights: v.number() });

/** Plans a trip: the flight and the hotel are looked for at the same time, and the offer is made when both are found. */
export const trip = workflow("trip", { input })
  .step("flight", { after: [], run: ({ city }) => ({ flight: `to ${city}`, cents: 12_000 }) })
  .step("hotel", { after: [], run: ({ city, nights }) => ({ hotel: `in ${city}`, cents: 8_000 * nights }) })
  .step("offer", {
    after: ["flight", "hotel"],
    run: ({ flight, hotel }) => ({ ...flight, ...hotel, cents: flight.cents + hotel.cents }),
  });
