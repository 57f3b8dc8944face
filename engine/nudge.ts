import { decodeEvent, type RunEvent } from "./events.ts";

/** A line of a log as an event, by its number. */
type Decode = (seq: number, line: string) => RunEvent;

/** What is published of a run: numbers up to `last` were stored; their lines from `first` on, if they came along. */
export class Nudge {
  readonly first: number;
  readonly last: number;
  readonly size: number;
  readonly #decode: Decode;
  readonly #lines: string[];
  #events: readonly RunEvent[] | undefined;

  constructor(text: string, decode: Decode) {
    const [head, ...lines] = text.split("\n");
    this.#decode = decode;
    this.size = text.length;
    this.last = Number(head);
    this.first = this.last - lines.length + 1;
    this.#lines = lines;
  }

  /** Whether all that was stored after number `seq` came along. */
  goesOnAfter(seq: number): boolean {
    return this.first <= seq + 1 && this.#lines.length > 0;
  }

  /** The events that came along, decoded once for all who are told of them: they are frozen. */
  get events(): readonly RunEvent[] {
    this.#events ??= this.#lines.map((line, i) => Object.freeze(this.#decode(this.first + i, line)));
    return this.#events;
  }
}

/** All who hear a channel are told one after the other. */
let lastHeard: { run: string; text: string; nudge: Nudge } | undefined;

/** The nudge that a message is, one for all who are told of it. */
export function nudgeOf(run: string, text: string): Nudge {
  if (lastHeard?.text !== text || lastHeard.run !== run)
    lastHeard = { run, text, nudge: new Nudge(text, (seq, line) => decodeEvent(run, seq, line)) };
  return lastHeard.nudge;
}
