import { defineConfig } from "vitest/config";

/** What goes on for as long as it is told: each by itself, and by no other command than its own. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["tests/long/*.long.ts"],
    globalSetup: "tests/support/global-setup.ts",
    setupFiles: "tests/support/setup.ts",
    hookTimeout: 60_000,
  },
});
