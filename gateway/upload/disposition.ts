export interface Disposition {
  name: string;
  filename: string | undefined;
}

const PARAMETER = /;\s*([A-Za-z0-9!#$&+.^_`|~*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/gu;

/**
 * The Content-Disposition of a form's part, as browsers and curl write it: names in plain UTF-8, a quote in them as
 * `%22` or `\"` (https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data), and
 * `filename*` as some clients do (RFC 5987).
 *
 * @returns undefined if it is not that of a part with a name
 */
export function parseDisposition(header: string): Disposition | undefined {
  if (!/^form-data\s*;/i.test(header)) return undefined;
  const parameters = new Map<string, string>();
  for (const [, key = "", quoted, token = ""] of header.matchAll(PARAMETER))
    parameters.set(key.toLowerCase(), quoted === undefined ? token : unquote(quoted));
  const name = parameters.get("name");
  if (name === undefined) return undefined;
  return { name, filename: extended(parameters.get("filename*")) ?? parameters.get("filename") };
}

function unquote(text: string): string {
  return text
    .replace(/\\(["\\])/g, "$1")
    .replaceAll("%22", '"')
    .replace(/%0D%0A|%0D|%0A/gi, " ");
}

/** `UTF-8''na%C3%AFve.pdf`; undefined if it is something else, so that the plain `filename` counts. */
function extended(value: string | undefined): string | undefined {
  const encoded = /^utf-8'[^']*'(.*)$/i.exec(value ?? "")?.[1];
  if (encoded === undefined || /%(?![0-9a-f]{2})/i.test(encoded)) return undefined;
  const bytes = encoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0) & 0xff));
}
