import { spawn } from "node:child_process";
import type { Readable } from "node:stream";

/** How long a program has to end by itself after SIGTERM. */
const ENDING_MS = 10_000;

/**
 * The shell that stands between this process and the program. Its standard input is a pipe that only this process
 * holds, and that the kernel closes however this process ends, SIGKILL included: then the program is ended too.
 *
 * A program on its own could not be told apart from another with the same process id later; the shell reaps it, so the
 * id stays its own for as long as the watcher lives.
 */
const SUPERVISOR = `
exec 3<&0
"$@" 3<&- </dev/null >&2 & program=$!
echo $program
(
  while read -r _; do :; done <&3
  trap '' TERM
  kill -TERM $program
  tenths=0
  while kill -0 $program && [ $tenths -lt ${ENDING_MS / 100} ]; do sleep 0.1; tenths=$((tenths + 1)); done
  kill -KILL $program
) >/dev/null 2>&1 & watcher=$!
wait $program; code=$?
kill $watcher 2>/dev/null
wait $watcher
exit $code`;

export interface Supervised {
  pid: number;
  /** Resolves with its exit code (128 and the signal's number after a signal) once it has ended, however that came. */
  exited: Promise<number>;
  /** The end of what it printed, at most 8,000 characters. */
  output(): string;
  /** SIGTERM, and SIGKILL 10 seconds later. Resolves when it has ended. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a program that ends with this process, and that Ctrl-C in this process's terminal does not reach.
 *
 * @throws when there is no `sh`, or it ends before it could start anything
 */
export async function supervise(path: string, args: string[], env: Record<string, string>): Promise<Supervised> {
  const shell = spawn("sh", ["-c", SUPERVISOR, "millrace-redis", path, ...args], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "pipe"],
    // A session and so a process group of its own: a terminal sends Ctrl-C to its foreground group.
    detached: true,
  });
  const output = tail(shell.stderr, 8_000);
  // Its end may close the pipe before this process does; `exited` tells of that.
  shell.stdin.on("error", (error: NodeJS.ErrnoException) => output.add(`${error.message}\n`));
  const exited = new Promise<number>((resolve, reject) => {
    shell.once("error", reject);
    shell.once("exit", (code) => {
      shell.stdin.destroy();
      resolve(code ?? 137);
    });
  });
  const pid = await Promise.race([firstNumber(shell.stdout), exited.then(() => undefined)]);
  if (pid === undefined) throw new Error(`sh could not start ${path}: ${output.text()}`);

  const stop = async () => {
    shell.stdin.end();
    const last = setTimeout(() => killGroup(shell.pid!), ENDING_MS + 2_000);
    await exited;
    clearTimeout(last);
  };
  return { pid, exited, output: output.text, stop };
}

/** For a shell that was stopped or is stuck: everything that it started is in its group. */
function killGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}

function tail(stream: Readable, limit: number) {
  let text = "";
  const add = (chunk: string) => {
    text = (text + chunk).slice(-limit);
  };
  stream.setEncoding("utf8").on("data", add);
  return { add, text: () => text };
}

function firstNumber(stream: Readable): Promise<number> {
  return new Promise((resolve) => {
    let text = "";
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) resolve(Number.parseInt(text, 10));
    });
  });
}
