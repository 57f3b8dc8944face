import { writeFile } from "node:fs/promises";
import { type Ended, startProgram } from "./process.ts";
import { ROOT } from "./run.ts";

/** Has the compiler look at the TypeScript files of a folder, by the project's settings: how it ended, and what it said. */
export async function typeCheck(dir: string): Promise<[Ended, string]> {
  const config = {
    ...{ extends: `${ROOT}tsconfig.json`, include: ["*.ts", "*.tsx"] },
    compilerOptions: { jsx: "react-jsx" },
  };
  await writeFile(`${dir}/tsconfig.json`, JSON.stringify(config));
  const tsc = [`${ROOT}node_modules/typescript/bin/tsc`, "--noEmit", "--project", `${dir}/tsconfig.json`];
  const checked = startProgram(process.execPath, tsc);
  return [await checked.exited, checked.output()];
}
