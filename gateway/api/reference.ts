import type { OpenApi } from "./openapi.ts";

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: unknown;
}
interface Content {
  [type: string]: { schema?: unknown };
}
interface Described {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: Record<string, string[]>[];
  parameters: Parameter[];
  requestBody?: { required: boolean; description?: string; content: Content };
  responses: Record<string, { $ref?: string; description?: string; content?: Content }>;
}

/** The reference page of an OpenAPI document of ours: plain HTML, without a script. */
export function reference(api: OpenApi): string {
  const { info, tags, paths, components } = api as unknown as {
    info: { title: string; version: string; description: string };
    tags: { name: string; description: string }[];
    paths: Record<string, Record<string, Described>>;
    components: { schemas: Record<string, unknown>; responses: Record<string, { description: string }> };
  };
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
  const sections = tags
    .map((tag) => ({ ...tag, of: all.filter(({ operation }) => operation.tags.includes(tag.name)) }))
    .filter(({ of }) => of.length > 0);

  const describe = (status: string, { $ref, description, content }: Described["responses"][string]) => {
    const shared = $ref === undefined ? undefined : components.responses[$ref.split("/").at(-1)!];
    const schemas = Object.entries(content ?? {}).map(
      ([type, { schema }]) => `<p><code>${text(type)}</code></p>${schemaOf(schema)}`,
    );
    return `<dt>${text(status)}</dt><dd>${prose(description ?? shared?.description)}${schemas.join("")}</dd>`;
  };
  const answers = ({ responses }: Described, areProblems: boolean) =>
    Object.entries(responses)
      .filter(([, { $ref }]) => ($ref !== undefined) === areProblems)
      .map(([status, each]) => describe(status, each))
      .join("");
  const operation = ({ method, path, operation: of }: (typeof all)[number]) => `
<article id="${text(of.operationId)}">
<h3><b class="${text(method)}">${text(method.toUpperCase())}</b> <code>${text(path)}</code></h3>
<p><strong>${text(of.summary)}.</strong> ${prose(of.description)}</p>
${rights(of)}
${of.parameters.length === 0 ? "" : `<h4>Parameters</h4><dl>${of.parameters.map(parameter).join("")}</dl>`}
${of.requestBody === undefined ? "" : body(of.requestBody)}
<h4>Answers</h4><dl>${answers(of, false)}</dl>
<details><summary>Problems</summary><dl>${answers(of, true)}</dl></details>
</article>`;

  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(info.title)}: the API</title><style>${STYLE}</style></head><body>
<header><h1>${text(info.title)} <small>${text(info.version)}</small></h1><p>${text(info.description)}
As a document: <a href="/openapi.json">/openapi.json</a>; of sockets: <a href="/asyncapi.json">/asyncapi.json</a>.</p></header>
<nav aria-label="Operations">${sections
    .map(
      ({ name, of }) =>
        `<h2>${text(name)}</h2><ul>${of
          .map(
            ({ method, path, operation: { operationId } }) =>
              `<li><a href="#${text(operationId)}"><b class="${text(method)}">${text(method.toUpperCase())}</b> ${text(path)}</a></li>`,
          )
          .join("")}</ul>`,
    )
    .join("")}</nav>
<main>${sections
    .map(
      ({ name, description, of }) =>
        `<section><h2>${text(name)}</h2><p>${text(description)}</p>${of.map(operation).join("")}</section>`,
    )
    .join("")}
<section><h2>Schemas</h2>${Object.entries(components.schemas)
    .map(([name, schema]) => `<article id="schema-${text(name)}"><h3>${text(name)}</h3>${schemaOf(schema)}</article>`)
    .join("")}</section></main></body></html>`;
}

function rights({ security }: Described): string {
  if (security.length === 0) return "<p>For everybody.</p>";
  const ways = security.map((each) =>
    each.key === undefined ? "a ticket" : `a key with <code>${text(each.key.join(" "))}</code>`,
  );
  return `<p>For ${ways.join(", or ")}.</p>`;
}

function parameter({ name, in: place, required, description, schema }: Parameter): string {
  const kind = `${place}${required ? ", required" : ""}`;
  return `<dt><code>${text(name)}</code> <small>${text(kind)}</small></dt><dd>${prose(description)}${schemaOf(schema)}</dd>`;
}

function body({ required, description = "", content }: NonNullable<Described["requestBody"]>): string {
  const kinds = Object.entries(content).map(
    ([type, { schema }]) => `<p><code>${text(type)}</code></p>${schemaOf(schema)}`,
  );
  return `<h4>Body${required ? "" : ", if any"}</h4><p>${prose(description)}</p>${kinds.join("")}`;
}

/** A schema as JSON, with links to those that have names. */
function schemaOf(schema: unknown): string {
  if (schema === undefined || JSON.stringify(schema) === "{}") return "";
  const html = text(JSON.stringify(schema, null, 2));
  const linked = html.replaceAll(
    /&quot;#\/components\/schemas\/(\w+)&quot;/g,
    (_, name: string) => `<a href="#schema-${name}">${name}</a>`,
  );
  const isShort = html.length < 120;
  return isShort
    ? `<pre>${linked.replaceAll(/\s+/g, " ")}</pre>`
    : `<details><summary>Schema</summary><pre>${linked}</pre></details>`;
}

/** Text in which code stands between backticks. */
function prose(raw = ""): string {
  return text(raw).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}

function text(raw: string): string {
  return raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#d9dde3,#353b45);--soft:light-dark(#f5f7f9,#1b1f26);--link:light-dark(#0b57d0,#8ab4f8)}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:minmax(15rem,22rem) minmax(0,1fr);grid-template-areas:"h h""n m"}
header{grid-area:h;padding:1rem 2rem;border-bottom:1px solid var(--line)}h1{margin:0}small{opacity:.7;font-weight:400}
nav{grid-area:n;padding:1rem;border-right:1px solid var(--line);position:sticky;top:0;height:100vh;overflow:auto;font-size:13px}
nav h2{font-size:13px;margin:1rem 0 .25rem}nav ul{list-style:none;margin:0;padding:0}nav a{text-decoration:none;overflow-wrap:anywhere}
main{grid-area:m;padding:1rem 2rem;max-width:70rem}article{border:1px solid var(--line);border-radius:8px;padding:0 1rem .5rem;margin:1rem 0}
a{color:var(--link)}b{font-size:11px;display:inline-block;min-width:5em}.get{color:light-dark(#176639,#7ddba3)}.post{color:light-dark(#0b57d0,#8ab4f8)}.put,.patch{color:light-dark(#8a5a00,#e9bf6b)}.delete{color:light-dark(#b3261e,#f2a29b)}
pre{background:var(--soft);padding:.5rem .75rem;border-radius:6px;overflow:auto;font-size:12.5px}h3{overflow-wrap:anywhere}h3 b{font-size:13px}
dt{font-weight:600;margin-top:.5rem}dd{margin:0 0 0 1rem}summary{cursor:pointer}
@media(max-width:52rem){body{display:block}nav{position:static;height:auto;border:0}main{padding:1rem}}`;
