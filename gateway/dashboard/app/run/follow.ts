import { afterEvent } from "../../../client/fold.ts";
import type { RunHandle } from "../../../client/index.ts";
import { ClientError } from "../../../client/index.ts";
import type { Event, Message, Run } from "../../../client/types.ts";
import { leave } from "../session.ts";

/** So many events are shown at the most: the last ones. */
const MOST = 10_000;
/** So many characters of what a step has emitted. */
const MOST_TEXT = 200_000;
/** However much happens, the page is drawn again no more often, and the run read no more often than this. */
const DRAW_MS = 50;
const READ_MS = 700;
/** Of what these come with only the run itself tells: outputs, and what is waited for. */
const WORTH_READING = /^(run\.|step\.(completed|failed|retrying|started))/;

/** A run as it is known here. */
export interface Followed {
  run: Run | undefined;
  events: readonly Event[];
  /** What its steps have emitted, as one text each. */
  texts: Readonly<Record<string, string>>;
  isLive: boolean;
  hasEnded: boolean;
  error: unknown;
}

export const NOTHING: Followed = {
  ...{ run: undefined, events: [], texts: {}, isLive: false, hasEnded: false, error: undefined },
};

/** Follows a run to its end, and again if it is replayed meanwhile. @returns ends it */
export function followRun(handle: RunHandle, show: (state: Followed) => void): () => void {
  const over = new AbortController();
  const { signal } = over;
  let run: Run | undefined;
  let events: Event[] = [];
  let texts: Record<string, string> = {};
  let [isLive, hasEnded] = [false, false];
  let error: unknown;
  let drawing: ReturnType<typeof setTimeout> | undefined;
  let reading: ReturnType<typeof setTimeout> | undefined;

  const draw = () => {
    drawing ??= setTimeout(() => {
      drawing = undefined;
      if (!signal.aborted) show({ run, events: [...events], texts, isLive, hasEnded, error });
    }, DRAW_MS);
  };
  async function read(): Promise<Run> {
    const now = await handle.get({ signal });
    if (run === undefined || now.seq >= run.seq) run = now;
    draw();
    return now;
  }
  const readSoon = () => {
    reading ??= setTimeout(() => {
      reading = undefined;
      if (!signal.aborted) read().catch(() => {});
    }, READ_MS);
  };

  function take(message: Message): void {
    if (message.type === "reset") {
      run = message.snapshot;
      events = [];
      texts = {};
    } else {
      if (run !== undefined && message.seq > run.seq) run = afterEvent(run, message);
      events.push(message);
      if (events.length > MOST) events = events.slice(-MOST);
      if (message.type === "step.output" && message.step !== undefined) texts = { ...texts, ...withText(message) };
      if (WORTH_READING.test(message.type)) readSoon();
    }
    draw();
  }
  function withText({ step, data }: Event): Record<string, string> {
    const text = `${texts[step!] ?? ""}${textOf(data)}`;
    return { [step!]: text.slice(-MOST_TEXT) };
  }

  async function follow(): Promise<void> {
    await read();
    for (let after: string | number = 0; !signal.aborted; ) {
      hasEnded = false;
      for await (const message of handle.watch({ after, signal })) {
        after = message.type === "reset" ? message.seq : message.cursor;
        take(message);
      }
      const { endedAt, seq } = await read();
      // A run that was replayed has more to tell than what came until it had failed.
      if (endedAt !== undefined && seq <= Number.parseInt(String(after), 10)) break;
    }
    hasEnded = true;
    draw();
  }

  // It alone says whether what happens is heard at once.
  const store = handle.store();
  const forget = store.subscribe(() => {
    isLive = store.getSnapshot().connection === "live";
    draw();
  });
  follow().catch((thrown) => {
    if (signal.aborted) return;
    if (thrown instanceof ClientError && thrown.status === 401) leave(thrown);
    error = thrown;
    draw();
  });
  return () => {
    over.abort();
    forget();
    clearTimeout(drawing);
    clearTimeout(reading);
  };
}

/** What a handler has emitted as people read it: texts as they are, anything else as a line of JSON. */
function textOf(data: unknown): string {
  if (typeof data === "string") return data;
  const { text, delta } = (data ?? {}) as { text?: unknown; delta?: unknown };
  if (typeof text === "string") return text;
  if (typeof delta === "string") return delta;
  return `${JSON.stringify(data)}\n`;
}
