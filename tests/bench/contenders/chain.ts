/** How the chain of three steps that do nothing is run by a contender. */
export interface Contender {
  name: string;
  /** What it is and how it is set, for the one who reads the figures. */
  settings: string;
  produce(url: string, options?: ChainOptions): Promise<Producer>;
  /** A worker for the three steps, connected but not begun. */
  prepare(url: string, options?: ChainOptions): Promise<ChainWorker>;
  /** Sees from outside how many chains have not ended. */
  count(url: string): Promise<Counter>;
}

/** One whose chains can be waited for. */
export interface Callable extends Contender {
  call(url: string): Promise<Caller>;
}

export interface ChainOptions {
  /** How much a chain carries from step to step. Default: a number. */
  bytes?: number | undefined;
  /** How many of each step a worker has in hand. Default 100. */
  concurrency?: number | undefined;
  /** Keeps what has ended and its events, where that is a choice. */
  keep?: boolean | undefined;
  /** What the second step waits for. */
  hold?: (() => Promise<void>) | undefined;
}

export interface Producer {
  /** Adds so many chains. */
  add(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface ChainWorker {
  start(): void;
  stop(): Promise<void>;
}

export interface Counter {
  /** @param added how many there are in all */
  left(added: number): Promise<number>;
  close(): Promise<void>;
}

export interface Caller {
  /** Starts a chain and waits for its end. */
  call(): Promise<void>;
  close(): Promise<void>;
}

export const STEPS = ["one", "two", "three"] as const;
export const CONCURRENCY = 100;

/** What a chain is started with. */
export function carried(n: number | string, { bytes = 0 }: ChainOptions = {}): { n: number | string; text?: string } {
  return bytes === 0 ? { n } : { n, text: "x".repeat(bytes) };
}

/** Calls `add` with the first number and the size of each part. */
export async function inParts(count: number, size: number, add: (first: number, size: number) => Promise<unknown>) {
  for (let at = 0; at < count; at += size) await add(at, Math.min(size, count - at));
}
