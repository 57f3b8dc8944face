import { describe, expect, test } from "vitest";
import { pacer } from "../../../workflows/pace.ts";
import { detectLanguage, sampleOf } from "../../../workflows/text/language.ts";
import { quotable } from "../../../workflows/text/prose.ts";
import { rankByCentroid, rankByQuestion } from "../../../workflows/text/ranking.ts";
import { withoutRunningLines } from "../../../workflows/text/running-lines.ts";
import { SENTENCE_CHARACTERS, sentencesOf } from "../../../workflows/text/sentences.ts";
import { termsOf } from "../../../workflows/text/words.ts";

const pace = pacer(new AbortController().signal);

describe("the language", () => {
  test.each([
    ["en", "This is how the system works, and what it was built for in the first place."],
    ["de", "Ein topologischer Raum ist ein Paar, das aus einer Menge und einer Topologie besteht."],
    ["fr", "Bonjour, je m'appelle Pierre et j'habite à Paris depuis dix ans."],
    ["es", "El perro corre por la calle y el gato duerme en la casa."],
    ["ar", "حبيبي أنت في قلبي"],
    ["ja", "今日は天気がいいですね。散歩に行きましょう。"],
    ["zh", "我们今天去公园散步,天气非常好。"],
    ["ru", "Сегодня хорошая погода, пойдём гулять."],
  ])("%s: %s", (language, text) => {
    expect(detectLanguage(text)).toBe(language);
  });

  test.each(["", "12 345", "x = y + 3", "€ § %"])("is not guessed for %j", (text) => {
    expect(detectLanguage(text)).toBeNull();
  });

  test("is that of the most frequent script, whatever letters a broken font mixes in", () => {
    expect(detectLanguage("habibi يبيبَح يبيبَحϲΒϴΒ ˴")).toBe("ar");
    expect(detectLanguage("Für alle α, β, γ, δ und ε gilt, dass die Summe Σ größer ist als λ.")).toBe("de");
  });

  test("is asked of a sample from everywhere in the document", () => {
    const texts = ["The preface is in English, as it happens.", ...new Array<string>(400).fill("x".repeat(900))];
    texts[400] = "Ende";
    const sample = sampleOf(texts);
    expect(sample.length).toBeLessThanOrEqual(20_000);
    expect(sample).toContain("preface");
    expect(sample).toContain("Ende");
  });
});

describe("sentences", () => {
  const of = (text: string, language: string | null = "de") => [...sentencesOf(text, language)];

  test("go on over line breaks, and hyphenated words are put together", () => {
    expect(of("Alle Kugeln mit unterschiedli-\nchem Mittelpunkt. Die Schwarz-\nWeiß-Fassung.")).toEqual([
      "Alle Kugeln mit unterschiedlichem Mittelpunkt.",
      "Die Schwarz-Weiß-Fassung.",
    ]);
    expect(of("co\u00ad\noperate", "en")).toEqual(["cooperate"]);
    expect(of("今日は天\n気がいい。", "ja")).toEqual(["今日は天気がいい。"]);
  });

  test("end at blank lines and list items", () => {
    expect(of("Überschrift\n\nEin Satz\nüber zwei Zeilen\n• Punkt eins\n• Punkt zwei\n2) Punkt drei")).toEqual([
      "Überschrift",
      "Ein Satz über zwei Zeilen",
      "• Punkt eins",
      "• Punkt zwei",
      "2) Punkt drei",
    ]);
  });

  test.each([
    ["de", "Das sind z. B. Auto und Rad, d. h. Fahrzeuge, vgl. Abb. 3 dort."],
    ["de", "Am 31. Dezember sprach Prof. Dr. Herrlich, und Frau R. Stöcker hörte zu."],
    ["en", "Mr. Smith and John F. Kennedy, Jr. met, e.g. Tuesday, with Dr. Who."],
    ["en", "1. This is the first point."],
  ])("%s: do not end at abbreviations: %s", (language, text) => {
    expect(of(text, language)).toEqual([text]);
  });

  test("end after a lone letter that is no initial", () => {
    expect(of("Das sind die offenen Teilmengen von X. Eine davon ist leer.")).toHaveLength(2);
  });

  test("are never longer than the limit, and nothing is lost", () => {
    const text = "wort ".repeat(5_000).trim();
    const pieces = of(text);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(SENTENCE_CHARACTERS);
    expect(pieces.join(" ")).toBe(text);
  });
});

test("headers, footers and page numbers are dropped but for their first time", () => {
  const body = (page: number) => `${"a".repeat(page)} begins.\nMore of it.\nAnd more.\n${"z".repeat(page)} ends.`;
  const pages = [1, 2, 3, 4].map((page) => `ACME Report ${page}\n${body(page)}\nConfidential\n- ${page} -`);
  const [first, second, third] = withoutRunningLines(pages);
  expect(first).toBe(`ACME Report 1\n${body(1)}\nConfidential`);
  expect(second).toBe(body(2));
  expect(third).toBe(body(3));
  expect(withoutRunningLines(["12"])).toEqual(["12"]);
});

describe("prose is told from what is none", () => {
  test.each([
    "A blind text like this gives you information about the selected font.",
    "Eine Teilmenge von Rn oder Cn ist genau dann kompakt, wenn sie beschränkt ist.",
    "“Is there no information?” he asked her.",
    "我们今天去公园散步,天气非常好。",
  ])("%s", (text) => {
    expect(quotable(text, "en")).toBe(text);
  });

  test("the mark of a list is left out", () => {
    expect(quotable("2) Jeder metrische Raum ist auch ein topologischer Raum.", "de")).toBe(
      "Jeder metrische Raum ist auch ein topologischer Raum.",
    );
  });

  test.each([
    ["a heading", "1.1 Topologische Räume und ihre Eigenschaften"],
    ["a line of contents", "1.2 Metrische Räume . . . . . . . . . . . . . . . 6."],
    ["a formula", "TX := { U ⊆ X | π−1(U ) ∈ TX } ist die Topologie."],
    ["half a sentence", "aus B erzeugt werden kann und offen ist."],
    ["program code", "[Function]int asn1_der_decoding (asn1 node * element, const void * ider)."],
    ["a table", "Population 273.879.7501 83,190,5562 8,935,1123 67,413,000."],
    ["too short", "Oh no."],
    ["too long", `${"Das ist ein sehr langer Satz ".repeat(20)}.`],
    ["an address", "Please write to info@example.com if you find errors in this text."],
  ])("%s", (_, text) => {
    expect(quotable(text, "de")).toBeUndefined();
  });
});

describe("ranking", () => {
  const text = [
    "The company built a bridge over the river.",
    "The bridge carries trains and cars across the river.",
    "Lunch was served at noon to all of the visitors.",
    "The bridge carries trains and cars across the river!",
    "A storm damaged the bridge and the river flooded the town.",
  ];

  test("puts first what the whole text is about, and never the same twice", async () => {
    const ranked = await rankByCentroid(text, { language: "en", count: 3, pace });
    const indexes = ranked.map(({ index }) => index);
    expect(indexes).toEqual([...indexes].sort((a, b) => a - b));
    expect(indexes).not.toContain(2);
    expect(indexes.filter((index) => index === 1 || index === 3)).toHaveLength(1);
    expect(Math.max(...ranked.map(({ score }) => score))).toBe(1);
  });

  test("listens to the title", async () => {
    const two = ["Trains need good bridges.", "Lunch needs good cooks."];
    const best = async (title: string) =>
      (await rankByCentroid(two, { language: "en", count: 1, pace, title })).map(({ index }) => index);
    expect(await best("")).toEqual([0]);
    expect(await best("Cooks and their lunch")).toEqual([1]);
  });

  test("finds what a question asks for, in another form of its words", async () => {
    const ask = (question: string) => rankByQuestion(text, question, { language: "en", count: 1, pace });
    expect(await ask("What did the storms damage?")).toEqual([{ index: 4, score: 1 }]);
    expect(await ask("Who are you?")).toEqual([]);
  });

  test("copes with nothing, and with nothing but stop words", async () => {
    expect(await rankByCentroid([], { language: null, count: 3, pace })).toEqual([]);
    expect(await rankByCentroid(["and or the", "und oder die"], { language: "en", count: 3, pace })).toEqual([]);
    expect(await rankByQuestion([], "What?", { language: null, count: 3, pace })).toEqual([]);
  });

  test("stops when it is told to", async () => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    const options = { language: "en", count: 3, pace: pacer(controller.signal) };
    await expect(rankByCentroid(text, options)).rejects.toThrow("enough");
  });

  test("gives every script its terms", () => {
    expect(termsOf("The bridges, and the BRIDGE!", "en")).toEqual(["bridge", "bridge"]);
    expect(termsOf("Räume und Raum", "de")).toEqual(["raume", "raum"]);
    expect(termsOf("公园散步", "zh")).not.toEqual([]);
    expect(termsOf("الكتاب", "ar")).toHaveLength(1);
  });
});

describe("long work", () => {
  test("lets the event loop have its turns", async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const gentle = pacer(new AbortController().signal);
    for (const until = performance.now() + 150; performance.now() < until; ) await gentle();
    clearInterval(timer);
    expect(turns).toBeGreaterThanOrEqual(3);
  });
});
