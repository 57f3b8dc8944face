import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { findRedis } from "../../engine/redis/private/find.ts";
import { temporaryDir } from "../support/run.ts";

const prints = (version: string) => `echo "${version}"`;
const REDIS_7 = prints("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0");
const VALKEY_8 = prints("Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0");

/** Debian's own programs, as far as fetching needs them: packages of one file each, and a list of what they need. */
const DEBIAN = {
  "apt-get": '[ "$1" = update ] && exit 0\nshift 2\nfor n; do case $n in -o|*=*) ;; *) touch "$n.deb";; esac; done',
  "apt-cache":
    'printf "redis-tools\\n  Depends: libc6\\n  Depends: libone2\\n |Depends: libtwo\\n  Suggests: libno\\n"',
  "dpkg-deb": `mkdir -p "$3/usr/bin" "$3/usr/lib/some-arch"
case $2 in
  redis-tools.deb) printf '#!/bin/sh\\n[ -e "$LD_LIBRARY_PATH/libone2.so" ] && echo v=7.0.15\\n' > "$3/usr/bin/redis-check-rdb"
    chmod +x "$3/usr/bin/redis-check-rdb";;
  libone2.deb|libtwo.deb) touch "$3/usr/lib/some-arch/\${2%.deb}.so";;
  *) echo "unexpected $2" >&2; exit 1;;
esac`,
};

/** A PATH with nothing but these programs, and what their scripts need. */
async function pathWith(programs: Record<string, string>): Promise<void> {
  const dir = await temporaryDir();
  const common = await temporaryDir();
  for (const tool of ["touch", "mkdir", "chmod", "sleep"])
    await writeFile(`${common}/${tool}`, `#!/bin/sh\nPATH=/usr/bin:/bin exec ${tool} "$@"\n`, { mode: 0o755 });
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(`${dir}/${name}`, `#!/bin/sh\n${script}\n`);
    await chmod(`${dir}/${name}`, 0o755);
  }
  vi.stubEnv("PATH", `${dir}:${common}`);
}

afterEach(() => vi.unstubAllEnvs());

describe("finding a Redis server", () => {
  test("takes redis-server from the PATH", async () => {
    await pathWith({ "redis-server": REDIS_7, "valkey-server": VALKEY_8 });
    expect(await findRedis(await temporaryDir())).toEqual({ path: "redis-server", env: {} });
  });

  test("takes valkey-server when redis-server is absent, broken or too old", async () => {
    for (const other of [undefined, "exit 1", prints("Redis server v=6.0.16 sha=0")]) {
      await pathWith({ "valkey-server": VALKEY_8, ...(other === undefined ? {} : { "redis-server": other }) });
      expect(await findRedis(await temporaryDir())).toEqual({ path: "valkey-server", env: {} });
    }
  });

  test("fetches one from Debian, for two at once, and later uses what was fetched", async () => {
    await pathWith(DEBIAN);
    const home = await temporaryDir();
    const expected = { path: `${home}/redis/bin/redis-server`, env: { LD_LIBRARY_PATH: `${home}/redis/lib` } };
    expect(await Promise.all([findRedis(home), findRedis(home)])).toEqual([expected, expected]);
    expect(await readdir(home)).toEqual(["redis"]);
    expect((await readdir(`${home}/redis/lib`)).sort()).toEqual(["libone2.so", "libtwo.so"]);

    await pathWith({});
    expect(await findRedis(home)).toEqual(expected);
  });

  test("fetches anew where what was fetched does not run", async () => {
    await pathWith(DEBIAN);
    const home = await temporaryDir();
    await mkdir(`${home}/redis/bin`, { recursive: true });
    await writeFile(`${home}/redis/bin/redis-server`, "#!/bin/sh\nexit 127\n", { mode: 0o755 });
    expect((await findRedis(home)).path).toBe(`${home}/redis/bin/redis-server`);
  });

  test("says what to install where nothing can be fetched, and leaves nothing half done", async () => {
    const home = await temporaryDir();
    await pathWith({});
    const absent = await findRedis(home).catch((error: unknown) => error);
    expect(absent).toMatchObject({ code: "no_redis_server" });
    expect(String(absent)).toMatch(/apt-get update: there is no such program here/);
    for (const system of ["Debian", "Fedora", "Alpine", "macOS", "REDIS_URL"]) expect(String(absent)).toContain(system);

    await pathWith({ ...DEBIAN, "apt-get": "echo 'E: Could not resolve host' >&2; exit 100" });
    const failed = await findRedis(home).catch((error: unknown) => error);
    expect(String(failed)).toContain("apt-get update: E: Could not resolve host");
    expect(await readdir(home)).toEqual([]);
  });
});
