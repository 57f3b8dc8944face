import { UnavailableError } from "../errors.ts";

/**
 * The promise's value, or an UnavailableError after `ms`: what it was that did not come in time is the caller's word.
 *
 * @param whenClosed is given, for as long as that lasts, what ends the waiting at once
 */
export async function bounded<T>(
  promise: Promise<T>,
  ms: number,
  what = "Redis did not answer a read",
  whenClosed?: Set<() => void>,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let close = (): void => {};
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnavailableError(`${what} within ${ms} ms.`)), ms);
    close = () => reject(new UnavailableError("The connection is closed."));
    whenClosed?.add(close);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
    whenClosed?.delete(close);
  }
}
