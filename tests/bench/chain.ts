/** How a contender runs the chain of three steps that do nothing, on the Redis of `url`. */
export interface Contender {
  name: string;
  /** What it is and how it is set, for the one who reads the figures. */
  settings: string;
  /** Queues `runs` chains, then starts one worker on them: how long that took until all were done, in ms. */
  drain(url: string, runs: number): Promise<number>;
  /** One chain at a time through a worker that is waiting: how long each took from its start to its end, in ms. */
  idle(url: string, runs: number): Promise<number[]>;
}

export const STEPS = ["one", "two", "three"] as const;
/** Of each step. */
export const CONCURRENCY = 100;

/** Resolves when `count` has been called so often. */
export function countdown(count: number): { done: Promise<void>; tick: () => void } {
  let left = count;
  let finish: () => void;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    done,
    tick: () => {
      left -= 1;
      if (left === 0) finish();
    },
  };
}
