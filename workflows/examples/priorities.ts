import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

/** Sends a letter. Somebody waits for a password reset, and nobody for one of a hundred thousand newsletters. */
export const letters = workflow("letters", { input: v.object({ to: v.string(), text: v.string() }) })
  .step("write", ({ to, text }) => ({ to, body: `Dear ${to}, ${text}` }))
  .step("send", ({ to, body }, ctx) => {
    ctx.log.info("sent {size} characters to {to}", { size: body.length, to });
    return { to };
  });

/** Starts the newsletter in the low lane: it takes the slots that nothing else wants, and never less than one in ten. */
export async function sendNewsletter(millrace: Millrace, readers: readonly string[]): Promise<string[]> {
  const started = readers.map((to) =>
    millrace.runs.start(letters, { to, text: "here is our news." }, { priority: "low" }),
  );
  return (await Promise.all(started)).map(({ id }) => id);
}

/** Starts a password reset, which passes every newsletter that waits. */
export async function sendReset(millrace: Millrace, to: string): Promise<string> {
  return (await millrace.runs.start(letters, { to, text: "here is your link." }, { priority: "high" })).id;
}
