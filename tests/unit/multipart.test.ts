import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readForm } from "../../gateway/upload/multipart.ts";

const B = "----WebKitFormBoundary7MA4YWxkTrZu0gW-";
const TYPE = `multipart/form-data; boundary=${B}`;
const encode = (text: string) => new TextEncoder().encode(text);

function part(disposition: string, content: string, type?: string): string {
  return `--${B}\r\nContent-Disposition: ${disposition}\r\n${type === undefined ? "" : `Content-Type: ${type}\r\n`}\r\n${content}\r\n`;
}
const file = (content: string) => part('form-data; name="file"; filename="日本.txt"', content, "text/plain");
const end = `--${B}--\r\n`;

/** Reads a form that comes in chunks that end at `cuts`. */
async function read(body: Uint8Array, cuts: readonly number[] = [], type = TYPE) {
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    let from = 0;
    for (const cut of [...cuts, body.byteLength]) {
      if (cut > from) yield body.slice(from, cut);
      from = Math.max(from, cut);
    }
  }
  const { name, type: declared, content } = await readForm(chunks(), type);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of content) text += decoder.decode(chunk, { stream: true });
  return { name, type: declared, text };
}

describe("a form with a file", () => {
  const content = `one\r\n--${B.slice(0, -1)}\r\n--- two -\r\n-`;
  const body = encode(`preamble\r\n${part('form-data; name="title"', "A title")}${file(content)}${end}epilogue --${B}`);
  const expected = { name: "日本.txt", type: "text/plain", text: content };

  test("is read whole", async () => {
    expect(await read(body)).toEqual(expected);
  });

  test("is read alike wherever its chunks end", async () => {
    for (let cut = 1; cut < body.byteLength; cut++) expect(await read(body, [cut])).toEqual(expected);
    expect(await read(body, Array.from(body.keys()))).toEqual(expected);
  });

  test("is read alike with any boundary, content and chunks", async () => {
    const pieces = fc.array(fc.constantFrom("\r", "\n", "-", "--", "\r\n--", "b", "x", "é"), { maxLength: 30 });
    const boundary = fc.stringMatching(/^-{0,6}[ab]{1,3}-{0,6}$/);
    await fc.assert(
      fc.asyncProperty(boundary, pieces, fc.array(fc.nat(200), { maxLength: 6 }), async (boundary, pieces, cuts) => {
        const content = pieces.join("").replaceAll(`\r\n--${boundary}`, "");
        // No line of it may begin like the boundary, the first included.
        fc.pre(!`\r\n${content}`.includes(`\r\n--${boundary}`));
        const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`;
        const form = encode(`${head}${content}\r\n--${boundary}--`);
        const type = `multipart/form-data; boundary="${boundary}"`;
        const sorted = cuts.toSorted((a, b) => a - b).filter((cut) => cut < form.byteLength);
        expect((await read(form, sorted, type)).text).toBe(content);
      }),
      // The file, or all of its content, comes out with the body's last bytes.
      {
        examples: [
          ["a---", [], [68]],
          ["aaa------", ["x"], [74]],
        ],
      },
    );
  });

  test("may be empty", async () => {
    expect((await read(encode(file("") + end))).text).toBe("");
  });

  test("keeps a long run of dashes", async () => {
    const dashes = "-".repeat(100_000);
    expect((await read(encode(file(dashes) + end), [7, 5_000, 50_000, 99_999])).text).toBe(dashes);
  });
});

describe("a form is refused", () => {
  const field = (size: number) => part('form-data; name="a"', "x".repeat(size));

  test.each([
    ["without a boundary", file("a") + end, 400, "multipart/form-data"],
    ["with a boundary that is too long", file("a") + end, 400, `multipart/form-data; boundary=${"x".repeat(71)}`],
    ["with another boundary", file("a") + end, 400, "multipart/form-data; boundary=other"],
    ["that is empty", "", 400, TYPE],
    ["that ends in its file", file("abc").slice(0, -2), 400, TYPE],
    ["that ends after its file", file("abc"), 400, TYPE],
    ["that ends in a part's headers", `${file("abc")}--${B}\r\nContent-Dispo`, 400, TYPE],
    ["whose part has no name", `--${B}\r\nContent-Type: text/plain\r\n\r\na\r\n${end}`, 400, TYPE],
    ["whose part has a broken header", `--${B}\r\nContent Disposition\r\n\r\na\r\n${end}`, 400, TYPE],
    [
      "with a header of 20,000 characters",
      part(`form-data; name="file"; x="${"y".repeat(20_000)}"`, "a") + end,
      400,
      TYPE,
    ],
    [
      "with a broken escape in its file's name",
      `${part("form-data; name=\"file\"; filename*=UTF-8''%", "a")}${end}`,
      400,
      TYPE,
    ],
    ["without a file", field(3) + end, 422, TYPE],
    ["whose file is a field", part('form-data; name="file"', "abc") + end, 422, TYPE],
    ["with two files", file("a") + file("b") + end, 422, TYPE],
    ["with a file in another part", part('form-data; name="b"; filename="b"', "b") + end, 422, TYPE],
    ["with 17 parts", field(1).repeat(16) + file("a") + end, 413, TYPE],
    ["with a field of 65,537 bytes", field(65_537) + file("a") + end, 413, TYPE],
  ])("%s", async (_, body, status, type) => {
    await expect(read(encode(body), [], type)).rejects.toMatchObject({ status });
    await expect(
      read(
        encode(body),
        Array.from({ length: 40 }, (_, i) => i * 7),
        type,
      ),
    ).rejects.toMatchObject({ status });
  });
});
