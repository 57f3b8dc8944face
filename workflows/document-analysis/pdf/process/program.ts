// program.ts SIZE MEMORY PARENT
// Parses the PDF of SIZE bytes that is on standard input, in at most MEMORY bytes, for the process PARENT.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { headingOf } from "../../title.ts";
import { textOf } from "../lines.ts";
import { openPdf } from "../open.ts";
import { Refusal } from "../refusal.ts";
import type { Message } from "./messages.ts";

/** One that is longer was not written by a person. */
const LONGEST_TITLE = 1_000;

const [size = 0, memory = 0, parent = 0] = process.argv.slice(2).map(Number);

try {
  const [bytes] = await Promise.all([received(), watched()]);
  const pdf = await openPdf(bytes);
  const title = pdf.title?.slice(0, LONGEST_TITLE);
  await say({ pageCount: pdf.pageCount, ...(title && { title }), warnings: pdf.warnings });
  for (let page = 1; page <= pdf.pageCount; page += 1) {
    const lines = await pdf.lines(page);
    const heading = page === 1 ? headingOf(lines) : undefined;
    await say({ page, text: textOf(lines), ...(heading && { heading }) });
  }
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  const { code, message, cause } = error;
  await say({ refused: { code, message, ...(cause !== undefined && { cause: String(cause) }) } });
}
process.exit();

/** By a thread, because unpacking holds this one for as long as it takes. Nothing is parsed before it is there. */
async function watched(): Promise<void> {
  const watchdog = new Worker(new URL("./watchdog.ts", import.meta.url), { workerData: { memory, parent } });
  await once(watchdog, "message");
  watchdog.unref();
}

async function received(): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let length = 0;
  for await (const part of process.stdin) {
    bytes.set(part, length);
    length += part.byteLength;
  }
  return bytes.subarray(0, length);
}

/** Waits until it is taken, so that pages that nobody has read yet are not kept. */
function say(message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
  });
}
