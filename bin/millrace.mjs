#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { become, noRuntime, runtimes } from "./runtime.mjs";

const main = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
const [runtime] = runtimes();
if (runtime === undefined) noRuntime();
else become(runtime.path, [main, ...process.argv.slice(2)]);
