import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { ROOT } from "./run.ts";

const execute = promisify(execFile);

export interface InstalledPackage {
  tarball: string;
  /** A project that has installed it, and beside it React and Node's types. */
  dir: string;
  remove(): Promise<void>;
}

/**
 * The package as strangers have it: built, packed, and installed by npm. Outside the checkout, where no package of its own
 * could stand in for one that the package does not ask for.
 */
export async function installPackage(): Promise<InstalledPackage> {
  const home = await mkdtemp(`${tmpdir()}/millrace-package-`);
  const remove = () => rm(home, { recursive: true, force: true });
  try {
    const dir = `${home}/project`;
    const tarball = await packedIn(home);
    await makeProject(dir);
    const quiet = ["--no-audit", "--no-fund", "--ignore-scripts"];
    await execute("npm", ["install", "--offline", ...quiet, tarball], { cwd: dir });
    return { tarball, dir, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function packedIn(home: string): Promise<string> {
  const built = `${home}/built`;
  await execute(process.execPath, [`${ROOT}bin/build.mjs`, built]);
  const { stdout } = await execute("npm", ["pack", "--json", built], { cwd: home });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return `${home}/${filename}`;
}

async function makeProject(dir: string): Promise<void> {
  const { devDependencies } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
  const beside = Object.fromEntries(BESIDE.map((name) => [name, devDependencies[name]]));
  const project = { name: "project", private: true, type: "module", devDependencies: beside };
  await mkdir(dir);
  await writeFile(`${dir}/package.json`, JSON.stringify(project));
  await copyPackages(dir);
}

const BESIDE = ["@types/node", "@types/react", "react"];
/** What these ask for. */
const BEHIND = ["undici-types", "csstype"];

/** What npm finds there it does not ask the registry for; what nothing asks for it takes away. */
async function copyPackages(dir: string): Promise<void> {
  const installed = JSON.parse(await readFile(`${ROOT}node_modules/.package-lock.json`, "utf8")) as {
    packages: Record<string, { dev?: true; optional?: true; devOptional?: true }>;
  };
  // Without the links to its commands a package counts as broken.
  await cp(`${ROOT}node_modules/.bin`, `${dir}/node_modules/.bin`, { recursive: true, verbatimSymlinks: true });
  for (const [path, { dev, optional, devOptional }] of Object.entries(installed.packages))
    if ((!dev && !optional && !devOptional) || [...BESIDE, ...BEHIND].includes(path.slice("node_modules/".length))) {
      const from = `${ROOT}${path}`;
      await cp(from, `${dir}/${path}`, { recursive: true, filter: (each) => !each.startsWith(`${from}/node_modules`) });
    }
}
