import type { ErrorRecord } from "../errors.ts";
import { firstSteps, type Graph } from "../graph.ts";
import type { Client } from "../redis/client.ts";
import { statusOf } from "../run-record.ts";
import { dedupe } from "../scripts/dedupe.ts";
import { expire } from "../scripts/expire.ts";
import { postpone } from "../scripts/postpone.ts";
import { Reply } from "../scripts/script.ts";
import type { CheckedTerms } from "../start-options.ts";
import type { Store } from "../store.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import type { Priority, RunStatus } from "../views.ts";
import { endingArgs } from "./ending.ts";
import { refuseWrongType } from "./refusals.ts";
import { limitRows } from "./start-terms.ts";

/** A key is kept so long at the least: whoever has it admits its run by then. */
const DEDUPE_LEAST_MS = 600_000;

/** Whose a deduplication's key is. */
export interface DedupeHolder {
  run: string;
  /** From this call on. */
  isNew: boolean;
  /** Within the window that began with its run. */
  within: boolean;
}

/** Runs that wait to start, and those that have not kept their limits. */
export class StartStore {
  readonly #client: Client;
  readonly #store: Store;

  constructor(client: Client, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /** Makes a deduplication's key this run's, unless it is another's than `replaces`. The run is in the key's partition. */
  async dedupe(tenant: string, hash: string, run: string, windowMs: number, replaces = ""): Promise<DedupeHolder> {
    const keys = this.#store.partitions.keyed(hash);
    const row = encodeTimerRow({ kind: "lapse", tenant, hash, run: "" });
    const args = [run, windowMs, replaces, Math.max(windowMs, DEDUPE_LEAST_MS), row];
    const reply = await this.#client.run(dedupe, [keys.dedupe(tenant, hash), keys.timers()], args);
    const [code, holder, within] = reply as [Reply, string, number?];
    refuseWrongType(code, "the deduplication's key");
    return { run: holder, isNew: code === Reply.Done, within: within === 1 };
  }

  /** The run that an idempotency key stands for; undefined if it stands for none yet. */
  async reserved(tenant: string, hash: string): Promise<string | undefined> {
    const key = this.#store.partitions.keyed(hash).once(tenant, hash);
    return ((await this.#client.call("HGET", key, "run")) as string | null) ?? undefined;
  }

  /** A run's status; undefined if there is no such run. */
  async status(run: string): Promise<RunStatus | undefined> {
    const status = await this.#client.call("HGET", this.#store.partitionKeys(run).run(run), "status");
    return status === null ? undefined : statusOf({ status: status as string });
  }

  /** The version that a run is of; undefined if there is no such run. */
  async version(run: string): Promise<number | undefined> {
    const version = await this.#client.call("HGET", this.#store.partitionKeys(run).run(run), "version");
    return version === null ? undefined : Number(version);
  }

  /** Puts off a run that waits to start, and gives it another input, as Redis is to hold it; `was` is the one so far. */
  async postpone(
    run: string,
    graph: Graph,
    { windowMs, maxWaitMs }: NonNullable<CheckedTerms["dedupe"]>,
    { input, metadata }: { input: string; metadata?: string },
  ): Promise<{ reply: Reply; was?: string }> {
    const keys = this.#store.partitionKeys(run);
    const args = [windowMs, maxWaitMs, graph.version, input, metadata ?? "", ...limitRows(run, graph)];
    const touched = [keys.run(run), keys.timers()];
    const [reply, was] = (await this.#client.run(postpone, touched, [...args, ...firstSteps(graph)])) as [
      Reply,
      string?,
    ];
    refuseWrongType(reply, `run ${run}`);
    return was === undefined ? { reply } : { reply, was };
  }

  /** Fails a run that has not kept its limit, and tells the workers. */
  async expire(run: string, graph: Graph, limit: string): Promise<Reply> {
    const keys = this.#store.partitionKeys(run);
    const names = ["tenant", limit === "ttl" ? "ttlMs" : "deadlineMs", "priority"];
    const fields = await this.#client.call("HMGET", keys.run(run), ...names);
    const [tenant, ms, lane] = fields as [string | null, string | null, Priority | null];
    if (tenant === null || ms === null) return Reply.UnknownRun;
    const error = limitError(limit, ms);
    const event = { type: "run.failed", data: { error } } as const;
    const ending = endingArgs(keys, { run, graph, tenant, lane: lane ?? "normal" }, "failed", event);
    const args = [...ending.args, limit, JSON.stringify(error), ...ending.steps];
    return (await this.#store.teller.run(expire, keys, ending.keys, args)) as Reply;
  }

  /** The time of runs. */
  async nowMs(): Promise<number> {
    return (await this.#client.timed([])).nowMs;
  }
}

function limitError(limit: string, ms: string): ErrorRecord {
  const name = "MillraceError";
  if (limit === "ttl") return { name, message: `The run did not start within ${ms} ms.`, code: "expired" };
  return { name, message: `The run did not end within ${ms} ms.`, code: "run_deadline" };
}
