import { type MultipartError, make, type Parser, type PartInfo } from "multipasta";
import { concat } from "../body.ts";
import { ProblemError } from "../problem.ts";
import { type Disposition, parseDisposition } from "./disposition.ts";

const MAX_PARTS = 16;
const MAX_FIELD_BYTES = 65_536;
/** What a form may weigh beside its file. */
export const FORM_BYTES = (MAX_PARTS + 1) * MAX_FIELD_BYTES;
/** RFC 2046, 5.1.1 */
const MAX_BOUNDARY = 70;

/** A file on its way in. */
export interface IncomingFile {
  name: string | undefined;
  /** What its sender says it is. */
  type: string | undefined;
  content: AsyncGenerator<Uint8Array, void, undefined>;
}

/**
 * The part `file` of a multipart/form-data body (RFC 7578), as it comes in. The rest of the form is read behind the
 * file, within the same iteration: when the content has ended, the whole form was there and was well-formed.
 *
 * @throws ProblemError 400 for a form that is malformed or cut, 413 for too many or too large parts, 422 if there is
 *   no file, or another one
 */
export async function readForm(
  body: AsyncGenerator<Uint8Array, void, undefined>,
  contentType: string,
): Promise<IncomingFile> {
  const form = new Form(body, contentType);
  const file = await form.findFile();
  return { ...file, content: form.content() };
}

class Form {
  readonly #body: AsyncGenerator<Uint8Array, void, undefined>;
  readonly #parser: Parser;
  #file: { name: string; type: string | undefined } | undefined;
  /** The file's bytes that came with the last chunk of the body. */
  #chunks: Uint8Array[] = [];
  #held = new Uint8Array(0);
  #ended = false;
  #failure: ProblemError | undefined;

  constructor(body: AsyncGenerator<Uint8Array, void, undefined>, contentType: string) {
    const boundary = /;\s*boundary=(?:"([^"]*)"|([^\s;]*))/i.exec(contentType);
    const length = (boundary?.[1] ?? boundary?.[2] ?? "").length;
    if (length < 1 || length > MAX_BOUNDARY) throw malformed("Its boundary is missing, or too long.");
    this.#body = body;
    this.#parser = make({
      headers: { "content-type": contentType },
      maxParts: MAX_PARTS,
      maxFieldSize: MAX_FIELD_BYTES,
      isFile: (info) => this.#disposition(info)?.filename !== undefined,
      onFile: (info) => this.#onFile(info),
      // A form of a web page may have fields; none of them means anything here.
      onField: () => {},
      onError: (error) => this.#fail(problemOf(error)),
      onDone: () => {
        this.#ended = true;
      },
    });
  }

  async findFile(): Promise<{ name: string; type: string | undefined }> {
    // The last read may bring it: a small form waits in the parser until nothing more can come.
    for (let more = true; more && this.#file === undefined; ) more = await this.#readOn();
    if (this.#file === undefined)
      throw new ProblemError(422, "no_file", 'The form has no file in a part named "file".', {
        errors: [{ path: ["file"], message: "Required" }],
      });
    return this.#file;
  }

  async *content(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let more = true; more; more = await this.#readOn()) yield* this.#taken();
    yield* this.#taken();
  }

  #taken(): Uint8Array[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  /** Takes one chunk of the body; false when there was none. */
  async #readOn(): Promise<boolean> {
    const next = await this.#body.next();
    try {
      if (this.#ended) return !next.done;
      if (next.done) {
        this.#parser.write(this.#held);
        this.#parser.end();
      } else this.#write(next.value);
    } catch (cause) {
      throw malformed("A part's headers cannot be read.", cause);
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (next.done && !this.#ended) throw malformed("It ends before its last boundary.");
    return !next.done;
  }

  /** The parser does not see the end of a form whose last two dashes come apart: dashes at an end wait for what follows. */
  #write(chunk: Uint8Array): void {
    const whole = this.#held.byteLength === 0 ? chunk : concat([this.#held, chunk]);
    let end = whole.byteLength;
    while (end > 0 && whole[end - 1] === DASH && whole.byteLength - end < MAX_BOUNDARY + 4) end--;
    this.#held = whole.slice(end);
    this.#parser.write(whole.subarray(0, end));
  }

  #onFile(info: PartInfo): (chunk: Uint8Array | null) => void {
    const { name, filename } = this.#disposition(info) ?? {};
    if (name !== "file") this.#fail(oneFile(`A file in a part named ${JSON.stringify(name)} has no place here.`));
    else if (this.#file !== undefined) this.#fail(oneFile('There is more than one part named "file".'));
    else {
      this.#file = { name: filename ?? "", type: header(info, "content-type") };
    }
    return (chunk) => {
      if (chunk !== null && this.#failure === undefined) this.#chunks.push(chunk);
    };
  }

  #disposition(info: PartInfo): Disposition | undefined {
    const disposition = parseDisposition(header(info, "content-disposition") ?? "");
    if (disposition === undefined) this.#fail(malformed("A part has no name."));
    return disposition;
  }

  #fail(problem: ProblemError): void {
    if (!this.#ended) this.#failure ??= problem;
  }
}

const DASH = 0x2d;

/** Trimmed, since the parser leaves the space before a value that comes in another chunk than its name. */
function header(info: PartInfo, name: string): string | undefined {
  const value = info.headers[name];
  return typeof value === "string" ? value.trim() : undefined;
}

function problemOf(error: MultipartError): ProblemError {
  switch (error._tag) {
    case "ReachedLimit":
      return error.limit === "MaxParts"
        ? new ProblemError(413, "form_too_large", `The form has more than ${MAX_PARTS} parts.`)
        : new ProblemError(413, "form_too_large", `A field of the form is larger than ${MAX_FIELD_BYTES} bytes.`);
    case "EndNotReached":
      return malformed("It ends before its last boundary.");
    case "InvalidBoundary":
      return malformed("Its boundary is missing.");
    default:
      return malformed("A part's headers cannot be read.");
  }
}

function malformed(why: string, cause?: unknown): ProblemError {
  return new ProblemError(400, "malformed_form", `The form is malformed. ${why}`, { cause });
}

function oneFile(detail: string): ProblemError {
  return new ProblemError(422, "one_file", `${detail} Send one file, in a part named "file".`);
}
