import {
  EVENT_TYPES,
  type Millrace,
  NotFoundError,
  type RunEvent,
  type RunView,
  type SubscribedEvent,
} from "../../engine/index.ts";

/** What a webhook is sent: the body, and the id by which a receiver knows it again. */
export interface Message {
  id: string;
  type: string;
  /** When it happened, ISO 8601. */
  timestamp: string;
  data: unknown;
}

type EventType = RunEvent["type"];

/** Progress and output come often, and are for those who watch. */
const NOT_SENT: ReadonlySet<string> = new Set(["step.progress", "step.output"]);

/** What a webhook may be told of. */
export const WEBHOOK_EVENTS = EVENT_TYPES.filter((type) => !NOT_SENT.has(type));

/** A run's output is sent with `run.completed` if its JSON has no more characters than this. */
const OUTPUT_LIMIT = 16_384;

/**
 * The subscriptions that hold the events for webhooks until they are handled: that of steps is there once a webhook wants
 * events of steps, since there are more of them.
 */
export const GROUPS: readonly { group: string; events: readonly EventType[] }[] = [
  { group: "millrace-webhooks", events: WEBHOOK_EVENTS.filter((type) => type.startsWith("run.")) },
  { group: "millrace-webhooks-steps", events: WEBHOOK_EVENTS.filter((type) => type.startsWith("step.")) },
];

/** The message that tells of an event. The same event is the same message. */
export function messageOf(event: SubscribedEvent, run: RunView | undefined): Message {
  const { type, at, tenant: _, ...data } = event;
  const output = type === "run.completed" ? outputOf(run) : {};
  return { id: `${event.run}_${event.cursor}`, type, timestamp: at, data: { ...data, ...output } };
}

function outputOf(run: RunView | undefined): { output?: unknown } {
  if (run?.output === undefined || JSON.stringify(run.output).length > OUTPUT_LIMIT) return {};
  return { output: run.output };
}

/** The run of an event; undefined if it is deleted by now. */
export async function runOf({ runs }: Millrace, { run, tenant }: SubscribedEvent): Promise<RunView | undefined> {
  try {
    return await runs.get(run, { tenant });
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}
