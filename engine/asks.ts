import type { StepStream } from "./entry.ts";
import { Shares } from "./shares.ts";
import type { Priority } from "./views.ts";

/** Of ten free slots so many are a lane's, while all have work. */
const WEIGHTS: Record<Priority, number> = { high: 6, normal: 3, low: 1 };

/** The slots of a worker, as `HeldAttempts` counts them. */
export interface Slots {
  free(): number;
  freeOf(stream: StepStream): number;
}

/** The lanes of one step that has a limit of its own: what it may still run is dealt among them first. */
interface Limited {
  at: number[];
  shares: Shares;
}

/** What to ask each of some streams for, so that never more comes than there are free slots. */
export class Asks {
  readonly #streams: readonly StepStream[];
  readonly #shares: Shares;
  readonly #limited: Limited[];

  constructor(streams: readonly StepStream[]) {
    this.#streams = streams;
    this.#shares = new Shares(streams.map(weightOf));
    this.#limited = [...new Set(streams.map(({ step }) => step))].flatMap((step) => {
      const at = [...streams.keys()].filter((i) => streams[i]!.step === step && streams[i]!.gate !== "before");
      if (step.concurrency === undefined || at.length === 1) return [];
      return [{ at, shares: new Shares(at.map((i) => weightOf(streams[i]!))) }];
    });
  }

  /** Of each stream that is asked how many entries. @param dry streams that are not to be asked */
  of(slots: Slots, dry: ReadonlySet<StepStream>): [StepStream, number][] {
    const room = (stream: StepStream) => (dry.has(stream) ? 0 : Math.max(0, slots.freeOf(stream)));
    // What is before a gate takes no slot, and has nothing to share.
    const limits = this.#streams.map((stream) => (stream.gate === "before" ? 0 : room(stream)));
    for (const { at, shares } of this.#limited) {
      const own = at.map((i) => limits[i]!);
      for (const [k, share] of shares.of(Math.max(...own), own).entries()) limits[at[k]!] = share;
    }
    const shares = this.#shares.of(slots.free(), limits);
    for (const [i, stream] of this.#streams.entries()) if (stream.gate === "before") shares[i] = room(stream);
    return this.#streams.flatMap((stream, i): [StepStream, number][] => (shares[i]! > 0 ? [[stream, shares[i]!]] : []));
  }

  /** Tells how many entries a stream gave. */
  gave(stream: StepStream, asked: number, given: number): void {
    const i = this.#streams.indexOf(stream);
    this.#shares.gave(i, asked, given);
    for (const { at, shares } of this.#limited) if (at.includes(i)) shares.gave(at.indexOf(i), asked, given);
  }
}

function weightOf(stream: StepStream): number {
  return WEIGHTS[stream.lane];
}
