import { mkdir, writeFile } from "node:fs/promises";

export type Row = Record<string, string | number>;

/** Something to reach: a ratio of two figures, or one figure, and what it may be. */
export interface Goal {
  goal: string;
  /** The figure, with its unit. */
  reached: string;
  /** What it is held against. */
  against: string;
  ratio: number;
  least?: number;
  most?: number;
}

/** What one part of the bench measures. */
export interface Topic {
  name: string;
  /** What the figures are of, for the one who reads them. */
  about: readonly string[];
  measure(report: Report): Promise<void>;
}

/** Collects what is measured, and tells it at the end: the goals first, the details below. */
export class Report {
  readonly #goals: (Goal & { topic: string })[] = [];
  readonly #details: { topic: string; title: string; rows: Row[] }[] = [];
  readonly #failures: { topic: string; failure: string }[] = [];
  #topic = "";

  begin(topic: string): void {
    this.#topic = topic;
    this.progress("begins");
  }

  /** For the one who waits. */
  progress(text: string): void {
    console.error(`${new Date().toISOString().slice(11, 19)} ${this.#topic}: ${text}`);
  }

  goal(goal: Goal): void {
    this.#goals.push({ topic: this.#topic, ...goal });
  }

  details(title: string, rows: Row[]): void {
    this.#details.push({ topic: this.#topic, title, rows });
    this.progress(title);
  }

  fail(error: unknown): void {
    this.#failures.push({ topic: this.#topic, failure: String(error) });
    console.error(error);
  }

  /** Prints all, and writes it as JSON. @returns whether every topic was measured */
  async tell(setting: Record<string, unknown>, topics: readonly Topic[], path: string): Promise<boolean> {
    const goals = this.#goals.map((each) => ({ ...each, passes: passes(each) }));
    console.table(
      goals.map(({ topic, goal, reached, against, ratio, passes }) => ({
        ...{ topic, goal, reached, against },
        ratio: ratio.toFixed(2),
        "": passes ? "pass" : "short",
      })),
    );
    for (const { name, about } of topics) console.log([`\n${name}`, ...about].join("\n  "));
    for (const { topic, title, rows } of this.#details) {
      console.log(`\n${topic}: ${title}`);
      console.table(rows);
    }
    for (const { topic, failure } of this.#failures) console.log(`\n${topic} was not measured: ${failure}`);
    const about = Object.fromEntries(topics.map((each) => [each.name, each.about]));
    const all = { at: new Date().toISOString(), ...setting, about, goals, details: this.#details };
    await mkdir(".millrace", { recursive: true });
    await writeFile(path, JSON.stringify({ ...all, failures: this.#failures }, null, 2));
    console.log(`\nthe same as JSON: ${path}`);
    return this.#failures.length === 0;
  }
}

function passes({ ratio, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }: Goal): boolean {
  return ratio >= least && ratio <= most;
}
