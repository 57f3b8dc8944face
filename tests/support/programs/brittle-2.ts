// A newer version of a workflow, for a test of commands that are told of it by --workflows.
import * as v from "valibot";
import { workflow } from "../../../engine/index.ts";

export default workflow("brittle", { version: 2, input: v.object({ n: v.number() }) })
  .step("double", ({ n }) => n * 2)
  .step("check", (n) => n);
