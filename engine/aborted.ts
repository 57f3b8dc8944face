/** A function, since the compiler believes that what it has once seen to be false stays so. */
export function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
