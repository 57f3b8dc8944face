import { preludeOf, RUN_TIME } from "./parts/prelude.ts";
import { takeSubscriptions } from "./parts/subscriptions.ts";

/** A Lua script: its name, for errors and statistics, and its whole source. */
export interface Script {
  readonly name: string;
  readonly source: string;
}

/** A script that appends to runs' logs: it is run by way of those who subscribe to what it tells, and by no other. */
export interface TellingScript {
  readonly name: string;
  readonly telling: Script;
}

/** What a script says of one thing that it was asked to do. The Lua side uses the same numbers. */
export const Reply = {
  Done: 1,
  /** Done, and a timer row is due now. */
  DoneAndDue: 2,
  /** It was so before: a repeated call, or a timer row that is no longer there. */
  Already: 0,
  /** The entry is not pending for this consumer with this delivery count. */
  NotOwner: -1,
  /** The run has ended; its entry is gone now. */
  RunEnded: -2,
  /** There is no such run; its entry is gone now. */
  UnknownRun: -3,
  /** A key holds another type than this schema says: nothing was written. */
  WrongType: -4,
  /** The step is at another place by now; the entry is gone. Or a key has another revision: nothing was written. */
  Stale: -5,
  /** The run is of another version by now: its steps are in other streams than the caller named. */
  Moved: -6,
  /** Another run waits for this one, and has yet to read what it came to: nothing was written. */
  Awaited: -7,
  /** There is nothing of that name: nothing was written. */
  NotThere: -8,
  /** There is no room for more: nothing was written. */
  Full: -9,
  /** The subscriptions are others than the caller knew: nothing was written. */
  StaleList: -20,
} as const;
export type Reply = (typeof Reply)[keyof typeof Reply];

/** Defines a script in the dialect of Redis 6.2: no `#!lua` line, so the same source runs on 6.2 and later. */
export function script(name: string, lua: string): Script {
  if (/\bappend\(/.test(lua)) throw new TypeError(`The script ${name} appends to logs: make it a tellingScript.`);
  return sourceOf(name, lua);
}

/** Defines a script that appends to runs' logs. */
export function tellingScript(name: string, lua: string): TellingScript {
  return { name, telling: sourceOf(name, `${takeSubscriptions}\n${lua}`) };
}

function sourceOf(name: string, lua: string): Script {
  return { name, source: `-- millrace ${name}\n${preludeOf(lua)}\n${lua}` };
}

/** A script's source with the time of runs ahead of the server's by what `clockKey` holds, in ms: for the test kit. */
export function withClock(source: string, clockKey: string): string {
  const ahead = `redis.call('GET', '${clockKey}') or 0`;
  return source.replace(RUN_TIME, () => `local function now_ms() return server_ms() + (${ahead}) end`);
}
