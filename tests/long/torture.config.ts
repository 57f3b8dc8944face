import { defineConfig } from "vitest/config";
import all from "../../vitest.config.ts";

/** What does harm, at the sizes that `FAULTS=long` gives it. */
export default defineConfig({
  test: {
    ...all.test,
    root: new URL("../..", import.meta.url).pathname,
    include: ["tests/faults/**/*.test.ts", "tests/integration/model/**/*.test.ts"],
  },
});
