import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";

/** They are not among the project's own: the server has 225 MB. */
export const PACKAGES = { "@restatedev/restate-server": "1.7.12", "@restatedev/restate-sdk": "1.17.2" };
/** By default it has 24, which is slower on two cores. */
export const PARTITIONS = Number(process.env.RESTATE_PARTITIONS ?? 4);

const DIR = ".millrace/restate";

/** Installs them under `.millrace/`, once. @returns where, from the working directory */
export async function installRestate(tell: (text: string) => void): Promise<string> {
  const missing = [];
  for (const [name, version] of Object.entries(PACKAGES)) {
    const file = `${DIR}/node_modules/${name}/package.json`;
    const found = existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as { version: string }).version : "";
    if (found !== version) missing.push(`${name}@${version}`);
  }
  if (missing.length === 0) return DIR;
  tell(`installs ${missing.join(" and ")} into ${DIR}`);
  await mkdir(DIR, { recursive: true });
  // No script of a package is run: all that one does is to report that it was installed.
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"];
  const npm = spawn("npm", ["install", "--prefix", DIR, ...flags, ...missing], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const code = await new Promise((resolve, reject) => npm.once("exit", resolve).once("error", reject));
  if (code !== 0) throw new Error(`npm could not install ${missing.join(" and ")}.`);
  return DIR;
}
