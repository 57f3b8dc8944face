import type { PartitionKeys } from "./keys.ts";
import { logger } from "./log.ts";
import { dueAt } from "./schedules/record.ts";
import { Loop, type Service } from "./service.ts";
import type { IndexPosition, ReconcileStore } from "./store/reconcile-store.ts";
import type { ScheduleStore } from "./store/schedule-store.ts";
import type { TimerRow } from "./timer-rows.ts";

const log = logger("reconciler");

/** How often everything that is live is gone through. */
const WALK_EVERY_MS = 60_000;
/** How long a pass may take before another process may think that this one is gone. */
const HOLD_MS = 30_000;
/** After a connection was lost, so that what else comes of that is seen too. */
const SOON_MS = 500;
/** Another process is at it: whether it looks at what this one means is asked again after this. */
const ASK_AGAIN_MS = 500;
/** What one pass does at the most: pages of 100 runs, and names of keys. */
const PAGES_AT_ONCE = 10;
const NAMES_AT_ONCE = 1_000;
/** Between two passes: of a walk that nothing has called for, and of one that something is known to be lost for. */
const CALM_PAUSE_MS = 1_000;
const PAUSE_MS = 50;
const RUN_NOW_MS = 60_000;

const INDEXES = ["queued", "running", "waiting", "schedules"] as const;

/** How far a walk has come, as it is stored for whoever goes on with it. Times are of the server. */
interface Walk {
  beganMs: number;
  /** Whether it goes through the names of all keys, too: something is known to be lost. */
  full: boolean;
  /** Where it is among the names of keys, and whether it is through with as many as it looks at. */
  names: string;
  named: boolean;
  /** Then, the index that it is in; undefined once it is through with those, and over. */
  at?: { tenant: string; index: number } & IndexPosition;
  /** How many places were put back. */
  found: number;
}

export interface ReconcilerParts {
  store: ReconcileStore;
  schedules: ScheduleStore;
  keys: PartitionKeys;
  /** Unique for each process. */
  owner: string;
  /** Stores again what the namespace has lost that this process knows. True if there was anything. */
  restore(): Promise<boolean>;
}

/**
 * Finds live runs that nothing moves any more, and puts them back: a walk over what is live, by one process at a time, a
 * bounded pass at a time; before that over the names of all keys, for runs that nothing lists, a little with each walk and
 * wholly once something is known to be lost. How far it has come is stored, so that another goes on there.
 */
export class Reconciler implements Service {
  readonly #parts: ReconcilerParts;
  readonly #loop: Loop;
  /** Since when something may be lost, and whether something is, until a walk has begun after that and is over. */
  #trouble: { at: number; full: boolean } | undefined;
  #stopped = true;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#loop = new Loop("reconciler", WALK_EVERY_MS, () => this.runOnce());
  }

  start(): void {
    this.#stopped = false;
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop.stop();
  }

  /** A connection was lost; `isLoss` if streams or groups were found to be gone. What is live is gone through soon. */
  wake(isLoss: boolean): void {
    this.#note(isLoss);
    this.#loop.wake(SOON_MS);
  }

  /** Goes through everything, from now on; resolves when that is done. @throws Error if that takes a minute */
  async runNow(): Promise<void> {
    this.#note(true);
    for (const until = performance.now() + RUN_NOW_MS; this.#trouble !== undefined && !this.#stopped; ) {
      if (performance.now() > until) throw new Error("The reconciler does not come to its end.");
      await this.#loop.runNow();
    }
  }

  #note(isLoss: boolean): void {
    this.#trouble = { at: performance.now(), full: isLoss || this.#trouble?.full === true };
  }

  /** One pass. @returns in how many ms the walk goes on; undefined when it has come to its end, or another has it */
  async runOnce(): Promise<number | undefined> {
    const { store, owner } = this.#parts;
    await this.#restore();
    const held = await store.hold(owner, HOLD_MS);
    if (held === undefined) return this.#trouble === undefined ? undefined : ASK_AGAIN_MS;
    const walk = this.#walkOn(held.now, decode(held.position));
    let inMs: number | undefined;
    try {
      if (!isOver(walk)) inMs = await this.#pass(held.now, walk);
    } finally {
      // Another may go on after a pass that failed.
      await store.hold(owner, inMs === undefined ? 0 : HOLD_MS, JSON.stringify(walk));
    }
    if (isOver(walk) && this.#trouble !== undefined && this.#covers(walk, held.now)) this.#trouble = undefined;
    return this.#trouble === undefined ? inMs : (inMs ?? 0);
  }

  /** It may be refused for lack of memory; what can be put back without it is. */
  async #restore(): Promise<void> {
    try {
      if (await this.#parts.restore()) this.#note(true);
    } catch (error) {
      log.warn("what the namespace has lost is stored again later: {error}", { error });
    }
  }

  /** The walk that is to go on: the one that is stored, or a new one if that is over and its time has come, or knew less. */
  #walkOn(now: number, stored: Walk | undefined): Walk {
    const isDue = stored === undefined || (isOver(stored) && now - stored.beganMs > 0.9 * WALK_EVERY_MS);
    if (!isDue && (this.#trouble === undefined || this.#covers(stored, now))) return stored;
    const full = this.#trouble?.full ?? false;
    const names = full ? "0" : (stored?.names ?? "0");
    return { beganMs: now, full, names, named: false, at: { tenant: "", index: 0, ...START }, found: 0 };
  }

  /** Whether a walk began after what this process knows of. */
  #covers({ beganMs, full }: Walk, now: number): boolean {
    const { at, full: isLoss } = this.#trouble!;
    // The server says whole milliseconds.
    return beganMs + 1 >= now - (performance.now() - at) && (full || !isLoss);
  }

  async #pass(now: number, walk: Walk): Promise<number | undefined> {
    const { store } = this.#parts;
    if (!walk.named) walk.named = await this.#names(now, walk);
    const tenants = walk.named ? await store.tenants() : [];
    for (let pages = 0; walk.named && pages < PAGES_AT_ONCE && !isOver(walk) && !this.#stopped; pages += 1)
      walk.at = await this.#page(now, tenants, walk, walk.at!);
    if (!isOver(walk)) return this.#stopped ? undefined : walk.full ? PAUSE_MS : CALM_PAUSE_MS;
    if (walk.found > 0) await store.recount(await store.tenants());
    if (walk.found > 0) log.warn("{found} steps were at no place any more, and are put back", { found: walk.found });
    return undefined;
  }

  /** Goes through a page of an index. @returns where the next one is */
  async #page(now: number, tenants: readonly string[], walk: Walk, at: NonNullable<Walk["at"]>): Promise<Walk["at"]> {
    const { store, keys } = this.#parts;
    const tenant = tenants.find((each) => each >= at.tenant);
    if (tenant === undefined) return undefined;
    const { index, ...from } = tenant === at.tenant ? at : { index: 0, ...START };
    const status = INDEXES[index]!;
    const key = status === "schedules" ? keys.schedules(tenant) : keys.runsByStatus(tenant, status);
    const { members, next } = await store.page(key, from);
    if (status === "schedules") await this.#schedules(now, tenant, members, next === undefined);
    else if (members.length > 0) walk.found += (await store.reconcile(tenant, members, now)).places;
    if (next !== undefined) return { tenant, index, ...next };
    if (index + 1 < INDEXES.length) return { tenant, index: index + 1, ...START };
    const following = tenants.find((each) => each > tenant);
    return following === undefined ? undefined : { tenant: following, index: 0, ...START };
  }

  /** Schedules whose rows are gone tick again; so does what a pause has parked, with the last page of them. */
  async #schedules(now: number, tenant: string, names: readonly string[], isLast: boolean): Promise<void> {
    const { store, schedules } = this.#parts;
    const rows: (readonly [TimerRow, number])[] = isLast ? [...(await store.unparkOf(tenant, now))] : [];
    for (const [i, schedule] of (await schedules.readAll(tenant, names)).entries()) {
      const due = schedule && dueAt(schedule, schedule.status === "ended" ? schedule.updatedAt : now);
      if (due === undefined || !Number.isFinite(due)) continue;
      rows.push([{ kind: "tick", tenant, name: names[i]!, generation: String(schedule!.generation) }, due]);
    }
    await store.arm(tenant, rows, now);
  }

  /** Goes on through the names of keys. True if that is enough. */
  async #names(now: number, walk: Walk): Promise<boolean> {
    const { store } = this.#parts;
    for (let looks = 0; looks < PAGES_AT_ONCE && !this.#stopped; looks += 1) {
      const { cursor, runs } = await store.unlisted(walk.names, NAMES_AT_ONCE);
      for (const [tenant, ids] of runs) walk.found += (await store.reconcile(tenant, ids, now)).places;
      walk.names = cursor;
      if (cursor === "0") return true;
    }
    return !walk.full && !this.#stopped;
  }
}

function isOver({ at }: Walk): boolean {
  return at === undefined;
}

const START: IndexPosition = { score: 0, skip: 0 };

function decode(position: string): Walk | undefined {
  try {
    return position === "" ? undefined : (JSON.parse(position) as Walk);
  } catch (error) {
    log.warn("the walk begins anew, since where it was cannot be read: {error}", { error });
    return undefined;
  }
}
