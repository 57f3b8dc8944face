import { crashesOf, type Handle } from "./handle.ts";
import { ATTEMPTS, CRASHES, NAP_MS, WAIT_MS } from "./shapes.ts";

/** What an attempt may come to. `untold` is given back before its start was told. */
export const OUTCOMES = ["complete", "throw", "fatal", "release", "untold", "skip", "park", "expand"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What follows from it, as the table of retries, crashes and failures in the README says. */
export type End =
  | { kind: "complete"; output: string }
  | { kind: "park"; reason: "timeout" | "sleep"; delayMs: number }
  | { kind: "retry" | "dead" | "collect" | "release" | "skip" | "expand" };

export function decideEnd(handle: Handle, outcome: Outcome, output: string): End {
  const { of, failures } = handle.entry;
  const dead: End = { kind: of.item !== undefined && of.run.shape.items[of.step.name]!.collects ? "collect" : "dead" };
  if (crashesOf(handle) >= CRASHES) return dead;
  switch (outcome) {
    case "complete":
      return { kind: "complete", output };
    case "throw":
      return failures + 1 < ATTEMPTS ? { kind: "retry" } : dead;
    case "fatal":
      return dead;
    case "untold":
      return { kind: "release" };
    case "park":
      return of.step.kind === "wait"
        ? { kind: "park", reason: "timeout", delayMs: WAIT_MS }
        : { kind: "park", reason: "sleep", delayMs: NAP_MS };
    default:
      return { kind: outcome };
  }
}

/** What an attempt can come to where it stands. */
export function possible({ entry }: Handle): readonly Outcome[] {
  const { step, item } = entry.of;
  const { kind = "task" } = step;
  if (kind === "wait" || kind === "sleep") {
    return entry.wake === "" ? ["park", "park", "release", "untold"] : ["complete", "complete", "fatal", "release"];
  }
  if (kind === "map" && item === undefined) return ["expand", "expand", "expand", "throw", "fatal", "release"];
  const ends: Outcome[] = [
    "complete",
    "complete",
    "complete",
    "complete",
    "throw",
    "throw",
    "fatal",
    "release",
    "untold",
  ];
  return step.when === true ? [...ends, "skip", "skip", "skip"] : ends;
}

/** Whether an attempt that comes to this tells, with that, that it had started. */
export function tellsStart(handle: Handle, outcome: Outcome): boolean {
  const { wake, of } = handle.entry;
  if (wake !== "" || outcome === "skip" || outcome === "untold") return false;
  // What a condition says is not looked at any more for what has taken down too many workers.
  return !(of.step.when === true && crashesOf(handle) >= CRASHES);
}
