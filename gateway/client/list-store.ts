import type { OfMany } from "./feeds.ts";
import { standingAfter, statusOf } from "./fold.ts";
import type { Live } from "./live.ts";
import { pause } from "./retry.ts";
import { type Changing, newStore, readOften, type Store, type Watched } from "./store.ts";
import type { Event, Page, RunFilter, RunSummary } from "./types.ts";

/** However much happens, the page is read once in so long at the most. */
const READ_MS = 1_000;
/** What was deleted, or has used more, is in no event: the page is read again after so long at the latest. */
const OLD_MS = 60_000;
/** It is read first when what happens is heard, or after so long: there may be no connection. */
const FIRST_MS = 500;
/** So many events that come while it is read are kept; what comes then besides has it read again. */
const MEANWHILE = 1_000;

/** A page of runs that stays current. */
export interface ListState extends Watched {
  /** The newest first. Undefined until they were read first. */
  runs: readonly RunSummary[] | undefined;
  /** The `cursor` of the page that follows; undefined on the last. */
  next: string | undefined;
}

/** A page of runs as a store. */
export type ListStore = Store<ListState>;

type Read = (signal: AbortSignal) => Promise<Page<RunSummary>>;

/** @param read the page as it stands @param live what its runs are watched with */
export function listStore(live: Live, filter: RunFilter, read: Read): ListStore {
  const { workflow } = filter;
  const topic = workflow === undefined ? ({ all: true } as const) : { workflow };
  const initial: ListState = { runs: undefined, next: undefined, connection: "connecting", error: undefined };
  return newStore(initial, async ({ set, state, signal }) => {
    const over = new AbortController();
    const list = new List(filter, { set, state, signal: AbortSignal.any([signal, over.signal]) });
    let leave = () => {};
    const watched = new Promise<void>((resolve, reject) => {
      leave = live.watchMany(topic, {
        take: (message) => list.take(message),
        heard: (isLive) => set({ connection: isLive ? "live" : "connecting" }),
        end: (error) => (error === undefined ? resolve() : reject(error)),
      });
    });
    try {
      await Promise.race([watched, list.keepCurrent(read)]);
      set({ connection: "ended" });
    } finally {
      leave();
      over.abort();
    }
  });
}

/** The rows: what an event says of one is seen at once, and what else it changes once the page is read again. */
class List {
  readonly #filter: RunFilter;
  readonly #of: Changing<ListState>;
  #isOld = false;
  #wake = (): void => {};
  /** What has come since the page was asked for that is being read. */
  #meanwhile: Event[] | undefined;

  constructor(filter: RunFilter, of: Changing<ListState>) {
    this.#filter = filter;
    this.#of = of;
  }

  take(message: OfMany): void {
    if (message.type === "reset") this.#old();
    else if (message.type.startsWith("run.")) {
      if (this.#meanwhile !== undefined && this.#meanwhile.length < MEANWHILE) this.#meanwhile.push(message);
      else if (this.#meanwhile !== undefined) this.#old();
      const { runs } = this.#of.state();
      const after = runs && this.#after(runs, message);
      if (after !== runs) this.#of.set({ runs: after });
    }
  }

  /** Reads the page whenever it may be another. @throws the signal's reason; as `readOften` */
  async keepCurrent(read: Read): Promise<never> {
    const { signal, set } = this.#of;
    signal.addEventListener("abort", () => this.#wake());
    for (let oldMs = FIRST_MS; ; oldMs = OLD_MS) {
      await this.#untilOld(oldMs);
      signal.throwIfAborted();
      this.#isOld = false;
      this.#meanwhile = [];
      const { data, next } = await readOften(read, this.#of);
      const runs = this.#meanwhile.reduce<readonly RunSummary[]>((all, event) => this.#after(all, event), data);
      this.#meanwhile = undefined;
      set({ runs, next, error: undefined });
      await pause(READ_MS, signal);
    }
  }

  async #untilOld(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#old(), ms);
    while (!this.#isOld && !this.#of.signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    clearTimeout(timer);
  }

  #old(): void {
    this.#isOld = true;
    this.#wake();
  }

  #after(runs: readonly RunSummary[], event: Event): readonly RunSummary[] {
    const { status, cursor } = this.#filter;
    const before = runs.find(({ id }) => id === event.run);
    if (before === undefined) {
      // Whether it has its tag, and where it stands, only the page says.
      const isNew = status === undefined ? event.seq === 1 && cursor === undefined : statusOf(event) === status;
      if (isNew) this.#old();
      return runs;
    }
    if (event.seq <= before.seq) return runs;
    const after = standingAfter(before, event);
    const fits = status === undefined || after.status === status;
    // What it came to, which version it is of, and who takes its place is in no event.
    if (!fits || after.endedAt !== undefined || after.status === "queued") this.#old();
    return runs.flatMap((run) => (run !== before ? [run] : fits ? [after] : []));
  }
}
