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

/** Ends this process quietly when what reads its output has gone, as `head` does. @param error what a write failed with, if it did */
export function endIfUnread(error: NodeJS.ErrnoException | null | undefined): void {
  if (error?.code === "EPIPE") process.exit();
  if (error) throw error;
}
