/**
 * What several sources give, as it comes. Each is asked for its next only when its last was taken; the first that fails ends all.
 * Ends when all have ended, or `signal` is aborted, on which the sources are to end too.
 */
export async function* merge<T>(sources: readonly AsyncGenerator<T>[], signal: AbortSignal): AsyncGenerator<T> {
  const arrived: { from: AsyncGenerator<T>; result: IteratorResult<T> }[] = [];
  let failure: { error: unknown } | undefined;
  let wake = (): void => {};
  const ask = (from: AsyncGenerator<T>) => {
    from.next().then(
      (result) => {
        arrived.push({ from, result });
        wake();
      },
      (error) => {
        failure ??= { error };
        wake();
      },
    );
  };
  signal.addEventListener("abort", () => wake());
  for (const source of sources) ask(source);
  try {
    for (let live = sources.length; live > 0; ) {
      if (failure !== undefined) throw failure.error;
      if (signal.aborted) return;
      const next = arrived.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (next.result.done) live -= 1;
      else {
        yield next.result.value;
        ask(next.from);
      }
    }
  } finally {
    // One that is being asked sees the signal; one that is not would never.
    for (const source of sources) source.return(undefined).catch(() => {});
  }
}
