import { UnavailableError } from "../errors.ts";

/** The promise's value, or an UnavailableError after `ms`: what it was that did not come in time is the caller's word. */
export async function bounded<T>(promise: Promise<T>, ms: number, what = "Redis did not answer a read"): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new UnavailableError(`${what} within ${ms} ms.`)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
