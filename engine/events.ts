import type { ErrorRecord } from "./errors.ts";

const RUN_EVENTS = [
  "run.queued",
  "run.started",
  "run.waiting",
  "run.completed",
  "run.failed",
  "run.cancelled",
] as const;
const STEP_EVENTS = [
  "step.started",
  "step.progress",
  "step.output",
  "step.retrying",
  "step.completed",
  "step.failed",
  "step.skipped",
] as const;
/** Of every event that there is. */
export const EVENT_TYPES = [...RUN_EVENTS, ...STEP_EVENTS];
export type RunEventType = (typeof RUN_EVENTS)[number];
export type StepEventType = (typeof STEP_EVENTS)[number];

/** One event of a run, as clients see it. */
export interface RunEvent {
  /** 1, 2, 3 … within the run. */
  seq: number;
  /** Where to resume: `SEQ-TAG`. */
  cursor: string;
  run: string;
  type: RunEventType | StepEventType;
  /** ISO 8601 with milliseconds. */
  at: string;
  step?: string;
  item?: number;
  attempt?: number;
  data?: unknown;
}

/** An event as a transition says it: the script that stores it gives it a number and a time. */
export interface NewEvent {
  type: RunEvent["type"];
  step?: string;
  item?: number;
  attempt?: number;
  data?: unknown;
}

/** `step.retrying`'s data as stored: the script alone knows the time, so the delay is relative to the event's. */
export interface RetryingData {
  error: ErrorRecord;
  delayMs: number;
  undo?: true;
}

const TERMINAL: ReadonlySet<string> = new Set(["run.completed", "run.failed", "run.cancelled"]);

/** Whether a run has ended with this event. Only a replay of a dead letter moves it again. */
export function isTerminal(type: RunEvent["type"]): boolean {
  return TERMINAL.has(type);
}

/** The part of a log line that the engine writes; the script puts the time before it. */
export function encodeEvent(event: NewEvent): string {
  return JSON.stringify(event);
}

/**
 * A line of a run's log, `TIME_MS JSON`, as an event; `TIME_MS~AGO JSON` if it was stored so many ms after it happened. `seq` is its
 * place in the log.
 */
export function decodeEvent(run: string, seq: number, line: string): RunEvent {
  const space = line.indexOf(" ");
  const [stored_ms = 0, ago_ms = 0] = line.slice(0, space).split("~").map(Number);
  const at_ms = stored_ms - ago_ms;
  const event = JSON.parse(line.slice(space + 1)) as NewEvent;
  if (event.type === "step.retrying") {
    const { error, delayMs, ...rest } = event.data as RetryingData;
    event.data = { error, retryAt: new Date(at_ms + delayMs).toISOString(), ...rest };
  }
  const { type, ...rest } = event;
  return { seq, cursor: encodeCursor(seq, stored_ms), run, type, at: new Date(at_ms).toISOString(), ...rest };
}

/** Where a client is in a run's log. The tag, the time when the event was stored, tells this log from one that lost its tail and grew anew. */
export interface Cursor {
  seq: number;
  at_ms?: number;
}

export function encodeCursor(seq: number, at_ms: number): string {
  return `${seq}-${at_ms.toString(36)}`;
}

/** Reads `SEQ` or `SEQ-TAG`; undefined if it is neither. */
export function parseCursor(text: string): Cursor | undefined {
  const match = /^(\d{1,15})(?:-([0-9a-z]{1,11}))?$/.exec(text);
  if (match === null) return undefined;
  const seq = Number(match[1]);
  return match[2] === undefined ? { seq } : { seq, at_ms: Number.parseInt(match[2], 36) };
}
