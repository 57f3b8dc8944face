import { decodeEvent, type RunEvent } from "../events.ts";

/** An event as a subscription hands it over. */
export interface SubscribedEvent extends RunEvent {
  workflow: string;
  version: number;
  tenant: string;
}

/** An event that a consumer has in hand. */
export interface Delivery {
  /** The entry in the subscription's stream, and how often it was delivered: with the consumer, the fence. */
  readonly id: string;
  readonly count: number;
  /** How often the handler failed with it before. */
  readonly failures: number;
  /** How many consumers died of it. */
  readonly crashes: number;
  readonly event: SubscribedEvent;
}

/** Reads a stream entry; undefined for one that no script of ours has written. */
export function parseDelivery(id: string, count: number, fields: readonly string[]): Delivery | undefined {
  const of: Record<string, string> = Object.create(null);
  for (let i = 0; i + 1 < fields.length; i += 2) of[fields[i]!] = fields[i + 1]!;
  const event = parseEvent(of);
  const [failures, crashes] = [Number(of.failures ?? 0), Number(of.crashes ?? 0) + count - 1];
  if (event === undefined || !Number.isInteger(failures) || !Number.isInteger(crashes)) return undefined;
  return { id, count, failures, crashes, event };
}

/** The event in the fields of an entry, delivered or dead. */
export function parseEvent(of: Readonly<Record<string, string>>): SubscribedEvent | undefined {
  const { run, tenant, workflow, version, seq, line } = of;
  if (run === undefined || line === undefined || tenant === undefined || workflow === undefined) return undefined;
  try {
    return { ...decodeEvent(run, Number(seq), line), workflow, version: Number(version), tenant };
  } catch {
    return undefined;
  }
}
