import type { RuntimeName } from "./runtime.ts";

/** Ranges of the packages that a project asks for. */
export interface Versions {
  millrace: string;
  valibot: string;
}

interface Project {
  name: string;
  runtime: RuntimeName;
  versions: Versions;
}

const NODE_TYPES = "^24.0.0";

/** What one types in a new project. */
export const COMMANDS: Record<RuntimeName, { install: string; start: string; test: string }> = {
  node: { install: "npm install", start: "npm start", test: "npm test" },
  bun: { install: "bun install", start: "bun start", test: "bun test" },
  deno: { install: "deno install", start: "deno task start", test: "deno task test" },
};

const WORKFLOW = `import { workflow } from "millrace";
import * as v from "valibot";

const input = v.object({ name: v.pipe(v.string(), v.minLength(1, "Whom to greet?")) });

export const greet = workflow("greet", { input })
  .step("count", ({ name }) => ({ name, letters: name.length }))
  .step("greet", {
    retry: { attempts: 3, baseMs: 500 },
    run: ({ name, letters }, ctx) => {
      ctx.progress(0.5, "half way");
      return \`Hello \${name}, your name has \${letters} letters.\`;
    },
  });
`;

const TEST = `import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type TestKit, testKit } from "millrace/testing";
import { greet } from "./greet.ts";

let kit: TestKit;
before(async () => {
  kit = await testKit([greet]);
});
after(() => kit.close());

test("greets by name", async () => {
  const run = await kit.run(greet, { name: "Ada" });
  assert.equal(run.output, "Hello Ada, your name has 3 letters.");
});

test("greets at the second attempt if the first fails", async () => {
  kit.fail(greet, "greet", { attempts: [1] });
  const run = await kit.run(greet, { name: "Ada" });
  assert.equal(run.status, "completed");
  assert.equal(run.steps.greet.attempt, 2);
});
`;

/** Every file of a new project, by its name. */
export function projectFiles(project: Project): Record<string, string> {
  const { runtime } = project;
  return {
    ...(runtime === "deno" ? { "deno.json": json(denoJson(project)) } : nodeFiles(project)),
    "greet.ts": WORKFLOW,
    "greet.test.ts": TEST,
    "README.md": readme(project),
    ".gitignore": "node_modules/\n.millrace/\n",
  };
}

function nodeFiles({ name, runtime, versions }: Project): Record<string, string> {
  const isBun = runtime === "bun";
  const start = "millrace dev --workflows greet.ts";
  const manifest = {
    name,
    private: true,
    type: "module",
    scripts: isBun
      ? { start: `bun --bun run ${start}`, test: "bun test", typecheck: "tsc" }
      : { start, test: "node --test", typecheck: "tsc" },
    // The sources run as they are.
    ...(isBun ? {} : { engines: { node: ">=22.18" } }),
    dependencies: { ...versions },
    devDependencies: { ...(isBun ? { "@types/bun": "^1.4.0" } : { "@types/node": NODE_TYPES }), typescript: "^7.0.0" },
  };
  const tsconfig = {
    compilerOptions: {
      module: "nodenext",
      target: "es2023",
      lib: ["es2024"],
      types: [isBun ? "bun" : "node"],
      strict: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      erasableSyntaxOnly: true,
      verbatimModuleSyntax: true,
      skipLibCheck: true,
    },
  };
  return { "package.json": json(manifest), "tsconfig.json": json(tsconfig) };
}

function denoJson({ versions }: Project): object {
  // The types of what Millrace uses refer to those of Node.
  const packages = { ...versions, "@types/node": NODE_TYPES };
  return {
    tasks: {
      start: "deno run --allow-all npm:millrace dev --workflows greet.ts",
      test: "deno test --allow-all --no-check",
      typecheck: "deno check",
    },
    imports: Object.fromEntries(Object.entries(packages).map(([name, range]) => [name, `npm:${name}@${range}`])),
    // Millrace starts processes by the path of a file, so its files have to be there.
    nodeModulesDir: "manual",
  };
}

function readme({ name, runtime }: Project): string {
  const { install, start, test } = COMMANDS[runtime];
  return `# ${name}

A workflow on Millrace, \`greet\` in \`greet.ts\`.

\`\`\`sh
${install}
${start}
\`\`\`

starts a worker and the gateway, and a Redis server unless \`REDIS_URL\` names one. Then, in another terminal:

\`\`\`sh
curl http://localhost:8787/v1/workflows/greet/runs -H 'Content-Type: application/json' -d '{"input": {"name": "Ada"}}'
\`\`\`

starts a run, and answers with its \`id\` and with \`links\`: to the run itself, and to its events as they come. Data is kept in
\`.millrace/\`.

\`${test}\` runs \`greet.test.ts\`, on a Redis and a clock of its own. Whatever a step returns must survive JSON. When the steps
of a workflow change, raise its \`version\`: \`workflow("greet", { version: 2, input })\`.
`;
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
