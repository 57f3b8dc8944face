import { describe, expect, test } from "vitest";
import { amountsIn } from "../../../workflows/document-analysis/findings/amounts.ts";

const found = (text: string, language: string | null) =>
  amountsIn(text, language).map(({ value, currency, text }) => `${text} = ${value} ${currency}`);

describe("amounts are found", () => {
  test.each([
    ["en", "It costs $1,234.56 now", ["$1,234.56 = 1234.56 USD"]],
    ["en", "EUR 20, 20 EUR and 20EUR", ["EUR 20 = 20 EUR", "20 EUR = 20 EUR", "20EUR = 20 EUR"]],
    ["en", "£5 million, US$3.5bn, $2k", ["£5 million = 5000000 GBP", "US$3.5bn = 3500000000 USD", "$2k = 2000 USD"]],
    ["en", "(€1,500.00)", ["€1,500.00 = 1500 EUR"]],
    ["en", "a loss of -$20", ["-$20 = -20 USD"]],
    ["en", "$5–10 million", ["$5–10 million = 5000000 USD", "$5–10 million = 10000000 USD"]],
    ["en", "$1.234 million", ["$1.234 million = 1234000 USD"]],
    ["en", "$0.125 each, ¥1,000, A$5", ["$0.125 = 0.125 USD", "¥1,000 = 1000 JPY", "A$5 = 5 AUD"]],
    ["en", "50 million U.S.", []],
    ["de", "1.234,56 € oder 10 Euro.", ["1.234,56 € = 1234.56 EUR", "10 Euro = 10 EUR"]],
    ["de", "3,5 Mrd. Euro und 1.234 Mio. €", ["3,5 Mrd. Euro = 3500000000 EUR", "1.234 Mio. € = 1234000000 EUR"]],
    ["de", "500 T€, 12 TEUR, 20,- €", ["500 T€ = 500000 EUR", "12 TEUR = 12000 EUR", "20,- € = 20 EUR"]],
    ["de", "10–20 € im Monat", ["10–20 € = 10 EUR", "10–20 € = 20 EUR"]],
    ["de", "CHF 1'234.50", ["CHF 1'234.50 = 1234.5 CHF"]],
    ["de", "1 Billion Euro", ["1 Billion Euro = 1000000000000 EUR"]],
    ["en", "1 billion euros", ["1 billion euros = 1000000000 EUR"]],
    ["fr", "1\u202f234,56\u00a0€ et 5 M€", ["1\u202f234,56\u00a0€ = 1234.56 EUR", "5 M€ = 5000000 EUR"]],
    ["fr", "3 milliards d'euros", ["3 milliards d'euros = 3000000000 EUR"]],
    [null, "$1,000,000.00", ["$1,000,000.00 = 1000000 USD"]],
  ])("%s: %s", (language, text, amounts) => {
    expect(found(text, language)).toEqual(amounts);
  });

  test("a year before an amount is no part of it", () => {
    expect(found("In 2024 100 € were paid", "en")).toEqual(["100 € = 100 EUR"]);
  });
});

test.each([
  "page 12 of 40, 3.14, 1.2.3, 10 %, 5 m, 3 k",
  "Euro 2024 was won by Spain",
  "5 pounds of flour",
  "the variable $x and the price in €",
  "S1 and R2",
])("nothing is found in: %s", (text) => {
  expect(found(text, "en")).toEqual([]);
});

test("takes no longer for text that is made to be slow", () => {
  const started = performance.now();
  for (const text of [
    "1 234 ".repeat(300),
    "1.".repeat(1_000),
    "$1-".repeat(600),
    "1'".repeat(1_000),
    "$".repeat(2_000),
  ])
    amountsIn(text, "en");
  expect(performance.now() - started).toBeLessThan(1_000);
});
