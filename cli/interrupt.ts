/** By signal, 128 and its number. */
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Has Ctrl-C and its like end this process at once: what it watches goes on without it. @param before what is put right first */
export function endOnSignal(before: () => void = () => {}): void {
  for (const [signal, code] of Object.entries(CODES))
    process.once(signal, () => {
      before();
      process.exit(code);
    });
}

/** Ends this process quietly when what reads its output has gone, as `head` does. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}
