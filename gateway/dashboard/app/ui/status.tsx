/** Each status by a mark, a word and a colour: none of them alone. */
const MARKS: Record<string, string> = {
  queued: "○",
  pending: "○",
  running: "◐",
  waiting: "‖",
  retrying: "↻",
  completed: "✓",
  failed: "✕",
  cancelled: "⊘",
  skipped: "↷",
  active: "✓",
  paused: "‖",
  ended: "■",
};

export function Status({ of, note }: { of: string; note?: string | undefined }) {
  return (
    <span class={`status is-${of}`}>
      <span aria-hidden="true">{MARKS[of] ?? "•"}</span> {of}
      {note === undefined ? null : <span class="note"> {note}</span>}
    </span>
  );
}

export function markOf(status: string): string {
  return MARKS[status] ?? "•";
}
