import type { Handler, Undo } from "../../engine/index.ts";

/** What the undo of this module was called with. */
export const undone: unknown[] = [];

const twice: Handler<number, number> = (n) => 2 * n;
export default twice;

export const undo: Undo<number, number> = (done) => undone.push(done);
