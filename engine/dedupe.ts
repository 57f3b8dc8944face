import { UnavailableError } from "./errors.ts";
import type { CheckedTerms } from "./start-options.ts";
import type { DedupeHolder, StartStore } from "./store/start-store.ts";
import { Reply } from "./store.ts";

/** How often one start looks again, because another with the same key came between. */
const TRIES = 20;

const LIVE: readonly (string | undefined)[] = ["queued", "running", "waiting"];

/** A start with a deduplication's key. */
export interface DedupedStart {
  dedupe: NonNullable<CheckedTerms["dedupe"]>;
  /** The digest of workflow, mode and key: `dedupeHash`. */
  hash: string;
  tenant: string;
  /** The id of the run, if it is to be a new one: in the partition of the digest. */
  id: string;
  /** Another such id. */
  newId(): string;
  /** Stores a run with this id; false if it is there. */
  admit(id: string): Promise<boolean>;
  /** Puts this run off and gives it this start's input. */
  postpone(id: string): Promise<Reply>;
}

/**
 * One run of several starts with the same key. The key is made a run's first and the run admitted then, both safe to
 * repeat: a run that is not there although the key is its own is admitted by whoever comes next.
 *
 * @returns the run, and whether this start made it
 * @throws UnavailableError if others with this key came between again and again
 */
export async function startDeduped(starts: StartStore, asked: DedupedStart): Promise<{ id: string; created: boolean }> {
  const { dedupe, hash, tenant, admit } = asked;
  let { id } = asked;
  let replaces: string | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    const holder = await starts.dedupe(tenant, hash, id, dedupe.windowMs, replaces);
    const held = holder.isNew ? "unknown" : await stateOf(holder, starts, asked);
    if (held === "current") return { id: holder.run, created: false };
    if (held === "over") {
      replaces = holder.run;
      if (id === holder.run) id = asked.newId();
      continue;
    }
    const created = await admit(holder.run);
    // Another start has just admitted it with its own input. To debounce is to give it this one.
    if (created || dedupe.mode !== "debounce") return { id: holder.run, created };
  }
  throw new UnavailableError("Others start runs with this deduplication key all the time. Try again.");
}

/** What the key's run is to a start that comes now: its own, not there yet, or another's that is over for the key. */
async function stateOf(
  { run, within }: DedupeHolder,
  starts: StartStore,
  { dedupe, postpone }: DedupedStart,
): Promise<"current" | "unknown" | "over"> {
  if (dedupe.mode === "debounce") {
    const reply = await postpone(run);
    if (reply === Reply.UnknownRun) return "unknown";
    return reply === Reply.Done ? "current" : "over";
  }
  if (dedupe.mode === "throttle" && !within) return "over";
  const status = await starts.status(run);
  if (status === undefined) return "unknown";
  return within || LIVE.includes(status) ? "current" : "over";
}
