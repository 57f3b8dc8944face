import { isTerminal, type Millrace, type RunStatus } from "../engine/index.ts";
import { EXIT, type ExitCode } from "./errors.ts";
import { lineOf } from "./event-lines.ts";
import { endOnSignal } from "./interrupt.ts";
import type { Printer } from "./printer.ts";

/**
 * `millrace runs watch`: a line for each event of a run, to its end, whatever becomes of Redis meanwhile.
 *
 * @returns how the run has ended
 * @throws NotFoundError, InvalidInputError
 */
export async function watchRun(
  millrace: Millrace,
  id: string,
  after: string | undefined,
  out: Printer,
): Promise<ExitCode> {
  endOnSignal();
  const leave = millrace.onConnection((isConnected) =>
    out.note(isConnected ? "Redis is there again." : "Redis is away; what happens meanwhile follows."),
  );
  let status: RunStatus | undefined;
  for await (const message of millrace.watch(id, after === undefined ? {} : { after })) {
    out.line(message, lineOf(message, out));
    if (message.type === "reset") status = message.snapshot.status;
    else status = isTerminal(message.type) ? (message.type.slice("run.".length) as RunStatus) : undefined;
  }
  leave();
  return exitCodeOf(status ?? (await millrace.runs.summary(id)).status);
}

/** What a watch of a run that has ended so ends with. */
export function exitCodeOf(status: RunStatus): ExitCode {
  if (status === "cancelled") return EXIT.cancelled;
  return status === "failed" ? EXIT.failed : EXIT.done;
}
