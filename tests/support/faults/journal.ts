import { appendFileSync, readFileSync } from "node:fs";

/** What happened outside of Redis, as whoever it happened to wrote it down. */
export type Line =
  /** A client is about to ask for a run. */
  | { what: "asked"; key: string; tenant: string }
  /** It was told that the run is stored. */
  | { what: "acknowledged"; key: string; tenant: string; run: string; workflow: string }
  /** It was told no, or nothing. */
  | { what: "unconfirmed"; key: string; code: string }
  /** A handler did what cannot be taken back. */
  | Effect
  /** A watcher saw an event. */
  | { what: "saw"; watcher: string; run: string; seq: number; type: string };

export interface Effect {
  what: "effect";
  run: string;
  step: string;
  attempt: number;
  fence: string;
  input: unknown;
  output: unknown;
  /** Whose, and when: ms since 1970. */
  pid: number;
  at: number;
}

/** A file that several processes append to: a line is one write, so lines never mix. */
export class Journal {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  add(line: Line): void {
    appendFileSync(this.path, `${JSON.stringify(line)}\n`);
  }

  /** Of one kind, or all. The last line of a process that was killed may be cut short; such a line is left out. */
  lines(): Line[] {
    const lines: Line[] = [];
    for (const text of read(this.path).split("\n")) {
      try {
        if (text !== "") lines.push(JSON.parse(text) as Line);
      } catch {}
    }
    return lines;
  }

  of<What extends Line["what"]>(what: What): Extract<Line, { what: What }>[] {
    return this.lines().filter((line): line is Extract<Line, { what: What }> => line.what === what);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return "";
    throw error;
  }
}
