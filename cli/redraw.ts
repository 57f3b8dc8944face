/** A part of a terminal that is drawn over and over. */
export interface Redrawer {
  show(text: string): void;
  /** Leaves what was drawn last, and the cursor below it. */
  done(): void;
}

/** A terminal that does not tell its size is written to line after line instead. */
export async function redrawer(stream: NodeJS.WriteStream): Promise<Redrawer> {
  if (!stream.rows) return { show: (text) => void stream.write(`${text}\n`), done: () => {} };
  const { createLogUpdate } = await import("log-update");
  const update = createLogUpdate(stream);
  return { show: (text) => update(text), done: () => update.done() };
}
