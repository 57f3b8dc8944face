import { newId } from "./ids.ts";

/** A secret needs no more. */
const BYTES = 64;

/** What is drawn by chance for something new. With the same draw the same thing is made again, and not a second one. */
export interface Draw {
  /** 32 of `0-9 a-f`. */
  readonly id: string;
  /** 64 bytes, for its secret. */
  readonly random: Uint8Array<ArrayBuffer>;
}

/** Draws by the time and the random numbers of this machine. */
export function newDraw(): Draw {
  return { id: newId(), random: crypto.getRandomValues(new Uint8Array(BYTES)) };
}
