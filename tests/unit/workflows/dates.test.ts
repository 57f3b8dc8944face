import { describe, expect, test } from "vitest";
import { datesIn, writesDayFirst } from "../../../workflows/document-analysis/findings/dates.ts";

/** `date` or `date..end` of each, with the text that it was found in. */
const found = (text: string, language: string | null, dayFirst = language !== "en") =>
  datesIn(text, language, dayFirst).map(({ date, end, text }) => [end === undefined ? date : `${date}..${end}`, text]);

describe("dates are found", () => {
  test.each([
    ["en", "On March 5, 2024 we met", "2024-03-05", "March 5, 2024"],
    ["en", "(5th of Nov. 1605)", "1605-11-05", "5th of Nov. 1605"],
    ["en", "version 4.19.0, 18 August 2022", "2022-08-18", "18 August 2022"],
    ["en", "3-5 May 2024", "2024-05-03..2024-05-05", "3-5 May 2024"],
    ["en", "from March 3 to March 9, 2021", "2021-03-03..2021-03-09", "March 3 to March 9, 2021"],
    ["en", "in March 2024", "2024-03", "March 2024"],
    ["en", "2024-03-05T10:00:00Z", "2024-03-05", "2024-03-05"],
    ["en", "2024/03/05", "2024-03-05", "2024/03/05"],
    ["en", "03/04/2024", "2024-03-04", "03/04/2024"],
    ["en", "13/04/2024", "2024-04-13", "13/04/2024"],
    ["en", "11.02.2014", "2014-02-11", "11.02.2014"],
    ["de", "0. Auflage, 31. Dezember 2016 Martin Thoma", "2016-12-31", "31. Dezember 2016"],
    ["de", "Email vom 11.02.2014.", "2014-02-11", "11.02.2014"],
    ["de", "vom 3. bis 5. Mai 2024", "2024-05-03..2024-05-05", "3. bis 5. Mai 2024"],
    ["de", "im Dezember 2016", "2016-12", "Dezember 2016"],
    ["fr", "le 1er janvier 2020", "2020-01-01", "1er janvier 2020"],
    ["fr", "le 05/03/2024", "2024-03-05", "05/03/2024"],
    ["es", "el 5 de marzo de 2024", "2024-03-05", "5 de marzo de 2024"],
    ["pl", "dnia 5 marca 2024", "2024-03-05", "5 marca 2024"],
    ["ja", "2024年3月5日に", "2024-03-05", "2024年3月5日"],
    ["ar", "٥ مارس 2024", "2024-03-05", "٥ مارس 2024"],
    [null, "5 March 2024", "2024-03-05", "5 March 2024"],
  ])("%s: %s", (language, text, date, where) => {
    expect(found(text, language)).toEqual([[date, where]]);
  });

  test("each once and in order", () => {
    const text = "Signed 2024-01-02, paid on 3 January 2024, due 05/02/2024.";
    expect(found(text, "en").map(([date]) => date)).toEqual(["2024-01-02", "2024-01-03", "2024-05-02"]);
  });
});

test.each([
  ["en", "in 2024, see 2/3 of page 1985"],
  ["en", "Version 1.2.2016 and v1.2.2016, section 1.2.2016"],
  ["en", "today, tomorrow, in two days, last week, at 12:30 on Monday"],
  ["en", "May I go? On January 2, or Jan 1"],
  ["en", "ISBN 978-3-11-022458-0, phone 030-12-2024-55, 20240305"],
  ["en", "31/02/2024, Feb 30, 2024, 45/45/2024"],
  ["de", "Wintersemester 2013/2014, über 2000 Jahre, am 3. März, Kapitel 1.10.12"],
  ["de", "Definition 1.1.1 und 1.2. Topologie 2013"],
])("nothing is found in %s: %s", (language, text) => {
  expect(found(text, language)).toEqual([]);
});

test("which number is the day is decided by the document, and by its language where it does not tell", () => {
  expect(writesDayFirst(["3/4/2024", "25/12/2023"], "en")).toBe(true);
  expect(writesDayFirst(["3/4/2024", "12/25/2023"], "fr")).toBe(false);
  expect(writesDayFirst(["3/4/2024"], "en")).toBe(false);
  expect(writesDayFirst(["3/4/2024"], null)).toBe(false);
  expect(writesDayFirst([], "de")).toBe(true);
  expect(found("3/4/2024", "en", true)).toEqual([["2024-04-03", "3/4/2024"]]);
});
