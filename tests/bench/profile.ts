import { writeFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";

/** With PROFILE=DIR, where the time of this process goes is written there as NAME.cpuprofile. @returns ends it */
export async function profiled(name: string): Promise<() => Promise<void>> {
  const dir = process.env.PROFILE;
  if (dir === undefined) return async () => {};
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  return async () => {
    const { profile } = await session.post("Profiler.stop");
    await writeFile(`${dir}/${name}.cpuprofile`, JSON.stringify(profile));
    session.disconnect();
  };
}
