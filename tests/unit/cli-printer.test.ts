import { beforeEach, expect, test } from "vitest";
import { durationOf } from "../../cli/durations.ts";
import { type Column, Printer } from "../../cli/printer.ts";

interface Row {
  name: string;
  n: number;
}
const COLUMNS: readonly Column<Row>[] = [
  { name: "name", of: ({ name }) => name, style: () => "bad" },
  { name: "n", of: ({ n }) => n, shown: ({ n }) => `${n} ms`, isNumber: true },
  { name: "words", of: ({ name }) => name.repeat(20) },
];
const rows: Row[] = [
  { name: "a", n: 7 },
  { name: "日本", n: 1_000 },
];
const printed: string[] = [];
const write = (text: string) => printed.push(text);
const terminal = { isTTY: true, columns: 40, write };
const pipe = { write };
beforeEach(() => {
  printed.length = 0;
});

test("a terminal is shown a table, as wide as it is", () => {
  const out = new Printer({ json: false, stdout: terminal, env: { NO_COLOR: "1" } });
  expect(out.lines(rows, COLUMNS)).toEqual([
    "name        n  words",
    "a        7 ms  aaaaaaaaaaaaaaaaaaaa",
    "日本  1000 ms  日本日本日本日本日本日本…",
  ]);
  expect(out.lines([], COLUMNS)).toEqual(["none"]);
});

test("anything else gets fields with tabs between, without a heading, and nothing that moves a cursor", () => {
  const out = new Printer({ json: false, stdout: pipe, env: {} });
  expect(out.lines([{ name: "a\u001b[2J\tb\nc", n: 7 }, ...rows.slice(1)], COLUMNS.slice(0, 2))).toEqual([
    "a [2J b c\t7",
    "日本\t1000",
  ]);
});

test.each([
  [terminal, {}, true],
  [terminal, { NO_COLOR: "1", FORCE_COLOR: "1" }, false],
  [terminal, { TERM: "dumb" }, false],
  [pipe, {}, false],
  [pipe, { FORCE_COLOR: "1" }, true],
  [pipe, { FORCE_COLOR: "0" }, false],
])("on %j with %j there are colours: %s", (stdout, env, expected) => {
  const out = new Printer({ json: false, stdout, env });
  expect(out.paint("a", "bad")).toBe(expected ? "\u001b[31ma\u001b[39m" : "a");
  expect(new Printer({ json: true, stdout, env }).paint("a", "bad")).toBe("a");
});

test("JSON is one document, and a line for each thing that comes by itself", () => {
  const out = new Printer({ json: true, stdout: terminal, env: {} });
  out.list({ data: rows, next: "c" }, COLUMNS);
  out.result({ a: 1 }, "words");
  out.line({ a: 2 }, "words");
  expect(printed.slice(0, 2).map((text) => JSON.parse(text))).toEqual([{ data: rows, next: "c" }, { a: 1 }]);
  expect(printed[2]).toBe('{"a":2}\n');
});

test.each([
  [0, "0"],
  [750.4, "750 ms"],
  [12_340, "12.3 s"],
  [300_000, "5 min"],
  [7_200_000, "2 h"],
  [259_200_000, "3 d"],
])("%d ms are %s", (ms, words) => expect(durationOf(ms)).toBe(words));
