import type { StepStream } from "../entry.ts";
import type { Client } from "../redis/client.ts";
import { bounded } from "../redis/deadline.ts";
import { look } from "../scripts/look.ts";

/** A script looks at no more streams than this. */
const LOOKED_AT_ONCE = 100;
/** Of one call: on a connection that is dead none would come back. */
const DEADLINE_MS = 3_000;

/** What there is to do in some streams of one partition. */
export interface Looks {
  /** Where entries are pending, for whichever consumer. */
  pending: Set<StepStream>;
  /** Where some are for the one that asks. */
  own: Set<StepStream>;
  /** Where there are entries that were not delivered yet. */
  undelivered: Set<StepStream>;
}

/** Looks at streams of one partition. One that cannot be looked at, because its group is gone say, is in all three. */
export async function lookAt(client: Client, consumer: string, streams: readonly StepStream[]): Promise<Looks> {
  const looks: Looks = { pending: new Set(), own: new Set(), undelivered: new Set() };
  for (let from = 0; from < streams.length; from += LOOKED_AT_ONCE) {
    const part = streams.slice(from, from + LOOKED_AT_ONCE);
    const keys = part.map(({ key }) => key);
    const found = (await bounded(client.run(look, keys, [consumer]), DEADLINE_MS)) as number[];
    for (let i = 0; i < found.length; i += 2) {
      const [stream, has] = [part[found[i]! - 1]!, found[i + 1]!];
      if (has & 1) looks.pending.add(stream);
      if (has & 2) looks.own.add(stream);
      if (has & 4) looks.undelivered.add(stream);
    }
  }
  return looks;
}
