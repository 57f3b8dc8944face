import { type ChildProcess, spawn } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { FatalError } from "../../../../engine/index.ts";
import { LIMITS } from "../../limits.ts";
import { type Message, type Opened, OUT_OF_MEMORY, type Page } from "./messages.ts";

const PROGRAM = fileURLToPath(new URL("./program.ts", import.meta.url));
/** What a runtime needs to start. Nothing else: who parses what strangers send is told no secrets. */
const VARIABLES = ["PATH", "HOME", "TMPDIR", "DENO_DIR", "NODE_COMPILE_CACHE", "SystemRoot"];
/** A page at its limit, each character escaped, is shorter. */
const LONGEST_LINE = 8 * LIMITS.charactersPerPage;
const KEPT_OUTPUT = 2_000;
const MB = 1024 * 1024;

export interface PdfReading extends Opened {
  /** Each page, in order. To be read once. @throws as `readPdf` */
  pages(): AsyncGenerator<Page>;
  /** Ends the process. To be called whatever happened. */
  close(): Promise<void>;
}

/**
 * Has a PDF parsed by a process of its own, which is ended if it takes too much memory or time: a few bytes can unpack
 * to more than there is, and the worker has others' work in hand.
 *
 * @param size of the PDF, in bytes
 * @param ms what it may take to be opened, and then for each page
 * @throws FatalError `document_damaged`, `document_encrypted`, `too_many_pages`, `page_too_long`, `too_much_memory`,
 * `too_much_time`; the signal's reason; Error when the process ended and said nothing that would tell why
 */
export async function readPdf(
  body: ReadableStream<Uint8Array>,
  size: number,
  signal: AbortSignal,
  ms: number = LIMITS.parserMs,
): Promise<PdfReading> {
  if (signal.aborted) await body.cancel();
  const parser = new Parser(size, signal, ms);
  try {
    await parser.send(body);
    const opened = await parser.next("pageCount", "to be opened");
    return { ...opened, pages: () => pagesOf(parser, opened.pageCount), close: () => parser.close() };
  } catch (error) {
    await parser.close();
    throw error;
  }
}

async function* pagesOf(parser: Parser, pageCount: number): AsyncGenerator<Page> {
  for (let page = 1; page <= pageCount; page += 1) yield await parser.next("page", `for page ${page}`);
}

class Parser {
  readonly #child: ChildProcess;
  readonly #messages: AsyncGenerator<Message>;
  readonly #ended: Promise<string>;
  readonly #signal: AbortSignal;
  readonly #memory: number;
  readonly #ms: number;
  readonly #kill = () => void this.#child.kill("SIGKILL");
  #output = "";
  #isOutOfMemory = false;

  constructor(size: number, signal: AbortSignal, ms: number) {
    signal.throwIfAborted();
    this.#ms = ms;
    this.#signal = signal;
    this.#memory = LIMITS.parserBytes + 3 * size;
    const flags = process.versions.deno === undefined ? [] : ["run", "--quiet", "--allow-all"];
    const child = spawn(process.execPath, [...flags, PROGRAM, ...[size, this.#memory, process.pid].map(String)], {
      env: Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]])),
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (code, killedBy) => resolve(killedBy ?? `exit code ${code}`));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      // What says so may stand far from the end: engines print where they were after it.
      this.#isOutOfMemory ||= OUT_OF_MEMORY.test(this.#output);
      this.#output = this.#output.slice(-KEPT_OUTPUT);
    });
    // Its end may close the pipe before all is sent: `next` says why it ended.
    child.stdin.on("error", () => undefined);
    this.#messages = messagesOf(child.stdout.setEncoding("utf8"));
    signal.addEventListener("abort", this.#kill, { once: true });
  }

  async send(body: ReadableStream<Uint8Array>): Promise<void> {
    let lost: unknown;
    async function* read(): AsyncGenerator<Uint8Array> {
      try {
        yield* body as unknown as AsyncIterable<Uint8Array>;
      } catch (error) {
        lost = error;
        throw error;
      }
    }
    await pipeline(Readable.from(read()), this.#child.stdin!).catch(() => undefined);
    if (lost !== undefined) throw this.#signal.aborted ? this.#signal.reason : lost;
  }

  /** The next message, which has to be of a kind. */
  async next<K extends "page" | "pageCount">(kind: K, what: string): Promise<Extract<Message, Record<K, unknown>>> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#kill();
    }, this.#ms);
    try {
      const { value } = await this.#messages.next();
      this.#signal.throwIfAborted();
      if (late)
        throw new FatalError(`The PDF takes more than ${this.#ms / 1_000} s ${what}.`, {
          code: "too_much_time",
        });
      if (value === undefined) throw await this.#failure();
      if ("refused" in value) {
        const { message, ...options } = value.refused;
        throw new FatalError(message, options);
      }
      if (!(kind in value)) throw new Error(`The process that parses PDFs said something else than its ${kind}.`);
      return value as Extract<Message, Record<K, unknown>>;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener("abort", this.#kill);
    this.#kill();
    this.#child.stdout?.destroy();
    await this.#ended;
  }

  async #failure(): Promise<Error> {
    const how = await this.#ended;
    if (this.#isOutOfMemory)
      return new FatalError(
        `The PDF takes more than ${Math.round(this.#memory / MB)} MB of memory to be read. It may have been made to exhaust it.`,
        { code: "too_much_memory" },
      );
    return new Error(`The process that parses PDFs ended: ${[how, this.#output.trim()].filter(Boolean).join(": ")}`);
  }
}

async function* messagesOf(output: AsyncIterable<string>): AsyncGenerator<Message> {
  let line = "";
  for await (const text of output) {
    const [first = "", ...more] = text.split("\n");
    line += first;
    for (const next of more) {
      yield JSON.parse(line) as Message;
      line = next;
    }
    if (line.length > LONGEST_LINE) throw new Error("The process that parses PDFs says more than a page can hold.");
  }
}
