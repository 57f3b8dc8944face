// A workflow for tests of traces: given to the command line by --workflows.
import { existsSync } from "node:fs";
import { trace } from "@opentelemetry/api";
import * as v from "valibot";
import { workflow } from "../../../engine/index.ts";

/** The file that the second step waits for at its first attempt. */
export const traced = workflow("traced", { input: v.object({ file: v.string() }) })
  .step("look", {
    retry: { attempts: 2, baseMs: 0, maxMs: 0 },
    run: (input, ctx) => {
      if (ctx.attempt === 1) throw new TypeError("not yet");
      return { ...input, traceparent: ctx.traceparent, active: trace.getActiveSpan()?.spanContext().spanId };
    },
  })
  .step("hold", async (input, ctx) => {
    console.log(`attempt ${ctx.attempt}`);
    while (ctx.attempt === 1 && !existsSync(input.file)) {
      ctx.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return input;
  })
  .step("end", ({ traceparent, active }, ctx) => ({ traceparent, active, own: ctx.traceparent }));
