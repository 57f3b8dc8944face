import { isStreamCursor, type Millrace, parseCursor, type WatchMessage } from "../../engine/index.ts";
import type { Caller } from "../access/caller.ts";
import { runCursor } from "./resume.ts";
import { type StreamOf, streamFor } from "./stream.ts";
import { textOf } from "./text.ts";

/** One Server-Sent Event. Without an id it leaves the client's last one as it is. */
export interface Frame {
  id?: string;
  event: string;
  data: string;
  /** What it was made of. */
  message: object;
}

/** The events of one run, each with its cursor. */
export async function* runFrames(messages: AsyncGenerator<WatchMessage>): AsyncGenerator<Frame> {
  for await (const message of messages)
    yield { id: runCursor(message, undefined), event: message.type, data: textOf(message), message };
}

/** What a stream of many runs is of, and where each of its parts begins. */
export interface ManyOf {
  runs: readonly { run: string; after: string | undefined }[];
  stream: StreamOf | undefined;
  after: string | undefined;
}

/** Where parts of a stream's id meet. */
const SEPARATOR = ",";

/** Where each part of a stream goes on, by the id that a client saw last; undefined if that is not of such a stream. */
export function parseMany(id: string | undefined, runs: readonly string[], stream?: StreamOf): ManyOf | undefined {
  const parts = id?.split(SEPARATOR) ?? [];
  if (id !== undefined && parts.length !== runs.length + (stream === undefined ? 0 : 1)) return undefined;
  const places = parts.map((part) => part || undefined);
  const open = runs.map((run, i) => ({ run, after: places[i] }));
  if (open.some(({ after }) => after !== undefined && parseCursor(after) === undefined)) return undefined;
  const after = places[runs.length];
  if (after !== undefined && !isStreamCursor(after)) return undefined;
  return { runs: open, stream, after };
}

/** The events of several runs and perhaps of a stream, each source by itself. Ids say where all of them are. */
export function manyFrames(
  millrace: Millrace,
  caller: Caller,
  { runs, stream, after }: ManyOf,
  signal: AbortSignal,
): AsyncGenerator<Frame>[] {
  const places = [...runs.map((each) => each.after ?? ""), ...(stream === undefined ? [] : [after ?? ""])];
  const at = (index: number, place: string): string => {
    places[index] = place;
    return places.join(SEPARATOR);
  };
  const sources = runs.map(({ run, after: from }, i) => ofRun(run, from, i));
  return stream === undefined ? sources : [...sources, ofStream(stream, runs.length)];

  async function* ofRun(run: string, from: string | undefined, i: number): AsyncGenerator<Frame> {
    for await (const message of millrace.watch(run, { tenant: caller.tenant, after: from, signal }))
      yield { id: at(i, runCursor(message, from)), event: message.type, data: textOf(message), message };
  }

  async function* ofStream(of: StreamOf, i: number): AsyncGenerator<Frame> {
    for await (const message of streamFor(millrace, caller, of, { after, signal })) {
      const frame = { event: message.type, data: textOf(message), message };
      yield message.type === "cursor" ? { ...frame, id: at(i, message.cursor) } : frame;
    }
  }
}
