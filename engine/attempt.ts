import { AttemptIdentity } from "./attempt-identity.ts";
import type { AttemptSetting } from "./attempt-setting.ts";
import { type BlobStore, OwnedBlobs } from "./blobs/blob-store.ts";
import type { CommitItem } from "./commit-args.ts";
import type { ConfigReader } from "./config-reader.ts";
import { type Entry, isUndo } from "./entry.ts";
import { FatalError, MillraceError } from "./errors.ts";
import { encodeEvent } from "./events.ts";
import { logger } from "./log.ts";
import { Memos } from "./memos.ts";
import { encodeValue } from "./payload.ts";
import type { CachedResult, StepContext, StepLog } from "./step.ts";
import { Reply } from "./store.ts";
import { Spending, type UsageReport } from "./usage.ts";

const log = logger("step");

/** Progress and output are told at most this often. */
const TELL_EVERY_MS = 250;
/** Neighbouring texts are joined up to this many characters, and longer ones are cut there. */
const TEXT_LIMIT = 8_192;
const OBJECT_LIMIT = 65_536;
/** A message of progress is cut there. */
const MESSAGE_LIMIT = 1_000;
/** What a handler emits faster than it can be stored is kept up to this many characters; then `emit` throws. */
const BUFFER_LIMIT = 4_194_304;
const MOST_TOKENS = 1_000_000_000;
/** So many events travel in one commit at the most. */
const BATCH_SIZE = 50;

/** One attempt of one step: what its handler is given, and what of it is still to be told. */
export class Attempt extends AttemptIdentity implements StepContext {
  readonly #setting: AttemptSetting;
  readonly #startedAt = performance.now();
  #abort: AbortController | undefined;
  #abortReason: Error | undefined;
  #onAbort: ((reason: Error) => void) | undefined;
  #startTold: boolean;
  /** Whether it is the step's turn at all is still to be found out: until then it has not started. */
  #undecided: boolean;
  /** Its input is still to be read: until then its start is not worth a commit of its own. */
  #reads: boolean;
  #batch = 0;
  #events: string[] = [];
  #buffered = 0;
  #text = "";
  #progress: { progress: number; message?: string } | undefined;
  #telling: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #memos: Memos | undefined;
  #spending: Spending | undefined;
  #spent = 0;
  #over = false;
  #blobs: BlobStore | undefined;

  constructor(entry: Entry, setting: AttemptSetting) {
    super(entry);
    this.#setting = setting;
    // A step that was woken has told of its start before it waited.
    this.#startTold = entry.wake !== undefined && !isUndo(entry);
    const { step, gate } = entry.stream;
    const isConditional = step.when !== undefined && entry.wake === undefined && entry.item === undefined;
    this.#undecided = (gate === "before" && !isUndo(entry)) || (isConditional && gate === undefined);
    const isPlain = gate === undefined && entry.wake === undefined && entry.item === undefined;
    this.#reads = isPlain && entry.input === "";
  }

  /** What its events are about. */
  get #of(): { step: string; item?: number; attempt: number } {
    const { step, item, attempt } = this;
    return item === undefined ? { step, attempt } : { step, item, attempt };
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  get blobs(): BlobStore {
    this.#blobs ??= new OwnedBlobs(this.#setting.blobs, this.entry.run);
    return this.#blobs;
  }

  get env(): Readonly<Record<string, string | undefined>> {
    return this.#setting.env;
  }

  get config(): ConfigReader {
    return this.#setting.config.of(this.entry.run);
  }

  cached<T>(topic: string, subject: string, key: string): CachedResult<T> {
    return this.#setting.cache.result(topic, subject, key);
  }

  get log(): StepLog {
    return log.with({ run: this.entry.run, ...this.#of });
  }

  progress(fraction: number, message?: string): void {
    if (this.#over) return;
    if (!(fraction >= 0 && fraction <= 1)) throw new FatalError(`Progress is from 0 to 1, not ${fraction}.`);
    this.#progress = { progress: Number(fraction) };
    if (message !== undefined) this.#progress.message = String(message).slice(0, MESSAGE_LIMIT);
    this.#tellSoon();
  }

  spend(tokens: number): void {
    if (this.#over) return;
    if (!(tokens >= 0 && tokens <= MOST_TOKENS)) throw new FatalError(`Tokens are from 0 to 10^9, not ${tokens}.`);
    this.#spent += tokens;
  }

  emit(output: string | object): void {
    if (this.#over) return;
    if (typeof output === "string") this.#emitText(output);
    else this.#emitObject(output);
    if (this.#buffered + this.#text.length > BUFFER_LIMIT)
      throw new MillraceError("emit_overflow", "More was emitted than could be stored; await something now and then.");
    this.#tellSoon();
  }

  once<T>(name: string, fn: () => T | Promise<T>): Promise<T> {
    this.#memos ??= new Memos(this, this.#setting.memory);
    return this.#memos.once(name, fn) as Promise<T>;
  }

  usage(used: UsageReport): void {
    if (this.#over) return;
    this.#spending ??= new Spending();
    this.#spending.add(used);
    this.#tellSoon();
  }

  heartbeat(): Promise<void> {
    const beaten = this.#setting.beat().then(() => this.signal.throwIfAborted());
    // A handler that does not wait for it is not brought down by it.
    beaten.catch(() => {});
    return beaten;
  }

  #emitText(text: string): void {
    this.#text += text;
    while (this.#text.length > TEXT_LIMIT) {
      this.#push(this.#marked({ text: this.#text.slice(0, TEXT_LIMIT) }));
      this.#text = this.#text.slice(TEXT_LIMIT);
    }
  }

  #emitObject(output: object): void {
    const json = encodeValue(output);
    if (json.length > OBJECT_LIMIT)
      throw new FatalError(`An emitted value has ${OBJECT_LIMIT} characters of JSON at most.`, { code: "emit_limit" });
    this.#closeText();
    this.#push(output);
  }

  #closeText(): void {
    if (this.#text !== "") this.#push(this.#marked({ text: this.#text }));
    this.#text = "";
  }

  /** What an undo says is told from what its step said. */
  #marked(data: object): object {
    return isUndo(this.entry) ? { ...data, undo: true } : data;
  }

  #push(data: object): void {
    const event = encodeEvent({ type: "step.output", ...this.#of, data });
    this.#events.push(event);
    this.#buffered += event.length;
  }

  /** Aborts the attempt: first whoever waits for the handler, then the handler's signal. The first reason stays. */
  abort(reason: Error): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#onAbort?.(reason);
    this.#abort?.abort(reason);
  }

  onAbort(listener: (reason: Error) => void): void {
    this.#onAbort = listener;
  }

  get aborted(): Error | undefined {
    return this.#abortReason;
  }

  /** Whether its end is decided, stored or not. */
  get over(): boolean {
    return this.#over;
  }

  /** A worker has it in hand: where nothing is still to be found out or read, it is at work. */
  begin(): void {
    if (!this.#undecided && !this.#reads) this.#setting.atWork(this);
  }

  /** It is the step's turn: its input is there, and its condition, if it has one, holds. */
  taken(): void {
    if (!this.#undecided && !this.#reads) return;
    this.#undecided = this.#reads = false;
    this.#setting.atWork(this);
  }

  /** Tells that the attempt has started, if that has not been told with something else. */
  tellStart(): void {
    if (!this.#startTold && !this.#over && this.#telling === undefined) this.#tell();
  }

  /** Nothing that the handler says from here on is told. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /**
   * The attempt is over: nothing is told any more but what this returns, the item that ends it. It holds all that the
   * handler said and that has not been told yet.
   */
  async end(): Promise<Omit<CommitItem, "end">> {
    this.close();
    if (this.#telling !== undefined) await this.#telling;
    this.#closeText();
    while (this.#events.length > BATCH_SIZE) await this.#store(this.#item());
    const item = this.#item();
    if (this.#spent > 0) item.spent = this.#spent;
    return item;
  }

  #tellSoon(): void {
    if (this.#timer !== undefined || this.#telling !== undefined) return;
    const inMs = Math.max(0, this.#toldAt + TELL_EVERY_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, inMs);
  }

  #tell(): void {
    this.#toldAt = performance.now();
    this.#closeText();
    this.#telling = this.#store(this.#item()).then(() => {
      this.#telling = undefined;
      const said = this.#events.length > 0 || this.#text !== "" || this.#progress !== undefined;
      if (!this.#over && (said || this.#spending?.isEmpty === false)) this.#tellSoon();
    });
  }

  async #store(item: CommitItem): Promise<void> {
    const reply = await this.#setting.committer.submit(item);
    if (reply !== Reply.Done) await this.#setting.lost(this);
  }

  /** Takes what is to be told now. */
  #item(): CommitItem {
    const events = this.#events.splice(0, BATCH_SIZE);
    for (const event of events) this.#buffered -= event.length;
    const item: CommitItem = { entry: this.entry, batch: this.#batch, events };
    if (this.#progress !== undefined) {
      item.progress = this.#progress;
      events.push(encodeEvent({ type: "step.progress", ...this.#of, data: this.#marked(this.#progress) }));
      this.#progress = undefined;
    }
    const usage = this.#spending?.take();
    if (usage !== undefined) item.usage = usage;
    if (events.length > 0 || usage !== undefined) item.batch = ++this.#batch;
    if (!this.#startTold && !this.#undecided) {
      this.#startTold = true;
      item.startedAgoMs = Math.max(0, Math.round(performance.now() - this.#startedAt));
    }
    return item;
  }
}
