import type { StepStream } from "./entry.ts";
import { Shares } from "./shares.ts";
import type { Step } from "./step.ts";
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
  at: ReadonlyMap<StepStream, number>;
  shares: Shares;
}

/** What to ask each of some streams for, so that never more comes than there are free slots. */
export class Asks {
  readonly #at: ReadonlyMap<StepStream, number>;
  readonly #shares: Shares;
  readonly #limited = new Map<StepStream, Limited>();

  constructor(streams: readonly StepStream[]) {
    this.#at = placesOf(streams);
    this.#shares = new Shares(streams.map(weightOf));
    const lanes = new Map<Step, StepStream[]>();
    for (const stream of streams) {
      if (stream.step.concurrency === undefined || stream.gate === "before") continue;
      const others = lanes.get(stream.step);
      if (others === undefined) lanes.set(stream.step, [stream]);
      else others.push(stream);
    }
    for (const own of lanes.values()) {
      if (own.length === 1) continue;
      const limited = { at: placesOf(own), shares: new Shares(own.map(weightOf)) };
      for (const stream of own) this.#limited.set(stream, limited);
    }
  }

  /** Of each of these streams that is to be asked how many entries. */
  of(slots: Slots, streams: readonly StepStream[]): [StepStream, number][] {
    const room = (stream: StepStream) => Math.max(0, slots.freeOf(stream));
    // What is before a gate takes no slot, and has nothing to share.
    const limits = streams.map((stream) => (stream.gate === "before" ? 0 : room(stream)));
    for (const [{ at, shares }, places] of this.#lanesAmong(streams)) {
      const own = places.map((k) => limits[k]!);
      const dealt = shares.of(
        Math.max(...own),
        own,
        places.map((k) => at.get(streams[k]!)!),
      );
      for (const [j, k] of places.entries()) limits[k] = dealt[j]!;
    }
    const places = streams.map((stream) => this.#at.get(stream)!);
    const shares = this.#shares.of(slots.free(), limits, places);
    return streams.flatMap((stream, k): [StepStream, number][] => {
      const share = stream.gate === "before" ? room(stream) : shares[k]!;
      return share > 0 ? [[stream, share]] : [];
    });
  }

  /** Tells how many entries a stream gave. */
  gave(stream: StepStream, asked: number, given: number): void {
    this.#shares.gave(this.#at.get(stream)!, asked, given);
    const limited = this.#limited.get(stream);
    limited?.shares.gave(limited.at.get(stream)!, asked, given);
  }

  /** The places of the lanes of each step that has a limit. */
  #lanesAmong(streams: readonly StepStream[]): Map<Limited, number[]> {
    const among = new Map<Limited, number[]>();
    for (const [k, stream] of streams.entries()) {
      const limited = this.#limited.get(stream);
      if (limited === undefined) continue;
      const places = among.get(limited);
      if (places === undefined) among.set(limited, [k]);
      else places.push(k);
    }
    return among;
  }
}

function placesOf(streams: readonly StepStream[]): ReadonlyMap<StepStream, number> {
  return new Map(streams.map((stream, place) => [stream, place]));
}

function weightOf(stream: StepStream): number {
  return WEIGHTS[stream.lane];
}
