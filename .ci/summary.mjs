// node .ci/summary.mjs RESULTS     prints "N passed, N failed" from what vitest's JSON reporter wrote.
import { existsSync, readFileSync } from "node:fs";

const path = process.argv[2];
const results = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
const passed = results?.numPassedTests ?? 0;
// A file can fail without a failing test: it did not load, or left something behind.
const failed = Math.max(results?.numFailedTests ?? 0, results?.success === true ? 0 : 1);
console.log(`${passed} passed, ${failed} failed`);
