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
  #read: { bytes: number; lines: Line[] } = { bytes: 0, lines: [] };

  constructor(path: string) {
    this.path = path;
  }

  add(line: Line): void {
    appendFileSync(this.path, `${JSON.stringify(line)}\n`);
  }

  /** Of one kind, or all. The last line of a process that was killed may be cut short; such a line is left out. */
  lines(): readonly Line[] {
    const bytes = read(this.path);
    if (bytes.length === this.#read.bytes) return this.#read.lines;
    const lines: Line[] = [];
    // Line by line: of hours of work it is longer than a string can be.
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf("\n", from);
      const to = end === -1 ? bytes.length : end;
      try {
        if (to > from) lines.push(JSON.parse(bytes.toString("utf8", from, to)) as Line);
      } catch {}
      from = to + 1;
    }
    this.#read = { bytes: bytes.length, lines };
    return lines;
  }

  of<What extends Line["what"]>(what: What): Extract<Line, { what: What }>[] {
    return this.lines().filter((line): line is Extract<Line, { what: What }> => line.what === what);
  }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
