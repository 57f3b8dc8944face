import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { ROOT } from "./run.ts";

const directory = resolve(process.env.MILLRACE_DOCUMENTS ?? resolve(ROOT, "../shared/data/documents"));

/** `geotopo` is a book of 117 pages, `password` is encrypted, `imagesOnly` holds no text. */
const FILES = {
  arabic: "arabic.pdf",
  geotopo: "geotopo.pdf",
  googleDoc: "google-doc.pdf",
  image: "image.pdf",
  imagesOnly: "images-only.pdf",
  outline: "outline.pdf",
  password: "password.pdf",
} as const;

/** Why the tests that read sample documents cannot run here; undefined if they can. For `describe.skipIf`. */
export const noDocuments: string | undefined = existsSync(directory)
  ? undefined
  : `no sample documents in ${directory}; MILLRACE_DOCUMENTS may name another directory`;

/** The path of a sample document. @throws Error when it is not there */
export function documentPath(name: keyof typeof FILES): string {
  const path = resolve(directory, FILES[name]);
  if (!existsSync(path)) throw new Error(noDocuments ?? `${path} is missing`);
  return path;
}
