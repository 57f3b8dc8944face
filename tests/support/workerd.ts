import { writeFile } from "node:fs/promises";
import { build } from "esbuild";
import { edgeBuild } from "../../gateway/edge/build.ts";
import { type Ended, type StartedProcess, startProgram } from "./process.ts";
import { ROOT, temporaryDir } from "./run.ts";
import { workerdPath } from "./runtime-path.ts";

/** The Worker of `deploy/workers/`, with the shipped workflows. */
export const SHIPPED_WORKER = "deploy/workers/worker.ts";

/** From which on it has what Redis' client needs. */
export const COMPATIBILITY_DATE = "2026-05-01";

export interface StartedWorkerd {
  readonly url: string;
  readonly port: number;
  readonly process: StartedProcess;
  /** Ends it at once: it waits for sockets that are open, however long they are. */
  stop(): Promise<Ended>;
}

const bundles = new Map<string, Promise<string>>();

/**
 * Serves a Worker on a free port of this machine, with texts as its bindings and its Durable Object, `MillraceGateway`.
 *
 * @param file its TypeScript, as a path from the checkout's root
 * @param object what the binding of its object is called
 */
export async function startWorkerd(
  file: string,
  bindings: Record<string, string>,
  object: "MILLRACE_GATEWAY" | "ELSEWHERE" = "MILLRACE_GATEWAY",
): Promise<StartedWorkerd> {
  if (workerdPath === undefined) throw new Error("workerd is not installed for this system");
  const bundle = bundles.get(file) ?? bundleOf(file);
  bundles.set(file, bundle);
  const dir = await temporaryDir();
  await writeFile(`${dir}/worker.js`, await bundle);
  await writeFile(`${dir}/config.capnp`, configOf(bindings, object));
  const process = startProgram(workerdPath, ["serve", `${dir}/config.capnp`, "--control-fd=1"]);
  const { port } = JSON.parse(await process.line(/^\{"event":"listen"/)) as { port: number };
  const stop = async () => {
    process.kill("SIGTERM");
    process.kill("SIGKILL");
    return process.exited;
  };
  return { url: `http://127.0.0.1:${port}`, port, process, stop };
}

async function bundleOf(file: string): Promise<string> {
  const options = { ...edgeBuild, write: false, logLevel: "silent" } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [`${ROOT}${file}`], outfile: "worker.js" });
  return outputFiles[0]!.text;
}

/** https://github.com/cloudflare/workerd/blob/main/src/workerd/server/workerd.capnp */
function configOf(bindings: Record<string, string>, object: string): string {
  const texts = Object.entries(bindings).map(([name, text]) => `(name = ${quoted(name)}, text = ${quoted(text)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .gateway),
    # Also to addresses that are private: Redis is on this machine.
    (name = "internet", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const gateway :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = ["nodejs_compat"],
  bindings = [(name = "${object}", durableObjectNamespace = "MillraceGateway"), ${texts.join(", ")}],
  durableObjectNamespaces = [(className = "MillraceGateway", uniqueKey = "gateway")],
  durableObjectStorage = (inMemory = void),
);
`;
}

/** As Cap'n Proto's texts are written. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
