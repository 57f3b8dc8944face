import { openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { ClientError, createClient, type RunHandle } from "../gateway/client/index.ts";
import { barLine, barsOf } from "./bars.ts";
import { CommandError, EXIT, type ExitCode, UsageError } from "./errors.ts";
import { lineOf } from "./event-lines.ts";
import { endOnSignal } from "./interrupt.ts";
import { clean, type Printer } from "./printer.ts";
import { type Redrawer, redrawer } from "./redraw.ts";
import { exitCodeOf } from "./run-watch.ts";
import { gatewayUrl, type Settings } from "./settings.ts";

export interface UploadCommand {
  file: string;
  workflow?: string;
  watch?: boolean;
  name?: string;
  type?: string;
  url?: string;
  key?: string;
}

/** What the shipped PDFs and texts are is told by their bytes; this is for what tells nothing. */
const UNTOLD = "application/octet-stream";

/**
 * `millrace upload`: sends a document to a gateway, which knows where documents are kept and what its caller may do; on request
 * starts a run with it, and watches that.
 *
 * @throws UsageError; CommandError for what the gateway refuses, and if it stays away
 */
export async function runUpload(command: UploadCommand, settings: Settings, out: Printer): Promise<void> {
  const { workflow, watch, type = UNTOLD } = command;
  if (watch && workflow === undefined) throw new UsageError("--watch goes with --workflow.");
  const url = command.url === undefined ? settings.gatewayUrl : gatewayUrl("--url", command.url);
  const key = command.key ?? settings.gatewayKey;
  const file = await fileAt(command.file, type);
  const bar = process.stderr.isTTY && !out.json ? await redrawer(process.stderr) : undefined;
  const steps = watch && out.isTerminal ? await redrawer(process.stdout) : undefined;
  const leaveDrawn = () => {
    bar?.done();
    steps?.done();
  };
  endOnSignal(leaveDrawn);
  const client = createClient({ url, ...(key === undefined ? {} : { key }) });
  try {
    const uploaded = await client.upload(file, {
      ...{ name: command.name ?? basename(command.file), type },
      ...(workflow === undefined ? {} : { workflow }),
      onProgress: (sent, total) => bar?.show(barLine("upload", total === 0 ? 1 : sent / total, out)),
    });
    bar?.done();
    const { document, run } = uploaded;
    if (watch) out.line(uploaded, run!);
    else out.result(uploaded, run ?? document);
    if (watch) process.exitCode = await watchRun(client.run(run!), steps, out);
  } catch (error) {
    throw said(error, url);
  } finally {
    leaveDrawn();
    client.close();
  }
}

/** @throws UsageError */
async function fileAt(path: string, type: string): Promise<Blob> {
  try {
    if (!(await stat(path)).isFile()) throw new UsageError(`${path} is no file.`);
    return await openAsBlob(path, { type });
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function watchRun(run: RunHandle, steps: Redrawer | undefined, out: Printer): Promise<ExitCode> {
  if (steps !== undefined) await drawSteps(run, steps, out);
  else for await (const message of run.watch()) out.line(message, lineOf(message, out));
  return exitCodeOf((await run.get()).status);
}

/** A bar for each step, until the run has ended. */
function drawSteps(run: RunHandle, draw: Redrawer, out: Printer): Promise<void> {
  const store = run.store();
  return new Promise((resolve, reject) => {
    const leave = store.subscribe(() => {
      const { run: view, connection, error } = store.getSnapshot();
      if (view !== undefined) draw.show(barsOf(view, connection === "connecting", out));
      if (connection !== "ended") return;
      leave();
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}

function said(error: unknown, url: string): unknown {
  if (error instanceof ClientError) {
    const { problem, status } = error;
    const more = (problem.errors ?? []).map(({ path, message }) => `\n  ${clean(path.join("."))}: ${clean(message)}`);
    const words = clean(error.message || `The gateway answered ${status}.`) + more.join("");
    return new CommandError(words, { cause: error, exitCode: exitOf(status) });
  }
  if (error instanceof CommandError) return error;
  const why = error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error);
  return new CommandError(`The gateway at ${url} cannot be reached: ${why}`, {
    ...{ cause: error, exitCode: EXIT.unreachable },
  });
}

function exitOf(status: number): ExitCode {
  if (status === 404) return EXIT.notFound;
  if (status === 400 || status === 422) return EXIT.usage;
  return status === 429 || status >= 500 ? EXIT.unreachable : EXIT.failed;
}
