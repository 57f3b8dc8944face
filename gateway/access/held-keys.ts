import type { AccessApi, VerifiedKey } from "../../engine/index.ts";

interface Held {
  ended: AbortController;
  holders: number;
  stop(): void;
}

const held = new WeakMap<AccessApi, Map<string, Held>>();

/** A signal that is aborted when this secret of a key works no more: one for all who hold it. */
export function holdKey(
  access: AccessApi,
  key: Pick<VerifiedKey, "id" | "secretNumber">,
): { signal: AbortSignal; release(): void } {
  const all = held.get(access) ?? new Map<string, Held>();
  held.set(access, all);
  const name = `${key.id} ${key.secretNumber}`;
  let of = all.get(name);
  if (of === undefined) {
    const ended = new AbortController();
    of = { ended, holders: 0, stop: access.keys.onEnd(key, (why) => ended.abort(`The key is ${why}.`)) };
    all.set(name, of);
  }
  const mine = of;
  mine.holders += 1;
  let isHeld = true;
  const release = () => {
    if (!isHeld) return;
    isHeld = false;
    mine.holders -= 1;
    if (mine.holders > 0) return;
    mine.stop();
    if (all.get(name) === mine) all.delete(name);
  };
  return { signal: mine.ended.signal, release };
}
