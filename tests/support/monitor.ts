import { once } from "node:events";
import { connect } from "node:net";

/** What scripts do on a server: each command with its arguments, of those that name a text. Until `stop` is called. */
export async function monitorScripts(
  url: string,
  about: string,
): Promise<{ stop(marker: string): Promise<string[][]> }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding("utf8");
  await once(socket, "connect");
  let text = "";
  let heard = Promise.withResolvers<void>();
  socket.on("data", (chunk: string) => {
    text += chunk;
    heard.resolve();
    heard = Promise.withResolvers();
  });
  const until = async (wanted: string) => {
    while (!text.includes(wanted)) await heard.promise;
  };
  socket.write("MONITOR\r\n");
  await until("+OK");
  return {
    /** Once a command with this marker, which the caller has sent, is seen. */
    async stop(marker) {
      await until(marker);
      socket.destroy();
      const lines = text.split("\r\n").filter((line) => line.includes(" lua] ") && line.includes(about));
      return lines.map((line) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, arg]) => arg!));
    },
  };
}
