import type { Command } from "./commands.ts";
import { SHAPES, type Shape } from "./shapes.ts";

/** What an attempt at a task comes to, by its number among what is possible there. */
const COMPLETE = 0;
const THROW = 4;
const FATAL = 6;

const admit: Command = { do: "admit", shape: 0 };
const deliver: Command = { do: "deliver", which: 0, count: 0, worker: 0, lost: false };
const beat: Command = { do: "beat", worker: 0 };
const end = (...how: number[]): Command => {
  const attempts = how.map((each, which) => ({ which, how: each, events: 0 }));
  return { do: "end", attempts, twice: false };
};
const cancel = (which: number): Command => ({ do: "cancel", which });
const signal = (which: number, key: "k" | "l"): Command => ({ do: "signal", which, key });
const shape = (name: string): Shape[] => SHAPES.filter(({ definition }) => definition.name === name);

/** Sequences that come before those of the seed: between them they get every answer that there is, whatever the seed. */
const SEQUENCES: [Shape[], Command[]][] = [
  [
    shape("chain"),
    [
      ...[admit, { do: "admit again", which: 0 } as const, deliver, beat],
      ...[{ do: "stall", worker: 0 } as const, { do: "reclaim", worker: 1 } as const, beat],
      ...[end(FATAL), { do: "send again", which: 0 } as const, cancel(0)],
      ...[{ do: "replay", which: 0, twice: true } as const, deliver, end(FATAL)],
      { do: "discard", which: 0, twice: true },
    ],
  ],
  [shape("chain"), [admit, deliver, end(THROW), { do: "pass time", units: 1 }]],
  [
    shape("waits"),
    [admit, signal(0, "k"), signal(0, "k"), signal(0, "l"), admit, cancel(1), cancel(1), signal(1, "k")],
  ],
  // One of two in a group fails their run: the other comes too late.
  [shape("diamond"), [admit, deliver, end(COMPLETE), deliver, deliver, end(FATAL, COMPLETE)]],
];

export const EXAMPLES: [...(typeof SEQUENCES)[number], look: number][] = SEQUENCES.map((each) => [...each, 0]);
