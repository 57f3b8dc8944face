/** A part of a terminal that is drawn over and over. */
export interface Redrawer {
  show(text: string): void;
  /** Leaves what was drawn last, and the cursor below it. */
  done(): void;
}

export async function redrawer(stream: NodeJS.WriteStream): Promise<Redrawer> {
  const { createLogUpdate } = await import("log-update");
  const update = createLogUpdate(stream);
  return { show: (text) => update(text), done: () => update.done() };
}
