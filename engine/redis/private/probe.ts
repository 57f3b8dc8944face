import { connect, createServer } from "node:net";

/** What a Redis server says of itself. */
export interface Probe {
  pid: number;
  /** Still reading its data from disk: it takes no commands yet. */
  loading: boolean;
}

/**
 * Asks the Redis server at a port of this machine who it is. Undefined when nothing answers there within a second, or
 * something that is no Redis. A socket of its own, since a server that has just been started refuses connections at first.
 */
export function probe(port: number): Promise<Probe | undefined> {
  return new Promise((resolve) => {
    let reply = "";
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write("INFO\r\n"));
    const end = () => {
      socket.destroy();
      const pid = /^process_id:(\d+)/m.exec(reply)?.[1];
      const loading = /^loading:(\d)/m.exec(reply)?.[1];
      resolve(pid === undefined || loading === undefined ? undefined : { pid: Number(pid), loading: loading !== "0" });
    };
    socket.setTimeout(1_000, end);
    socket.on("error", end);
    socket.on("end", end);
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      reply += chunk;
      // A bulk string: its length in bytes, then that many. INFO is ASCII.
      const header = /^\$(\d+)\r\n/.exec(reply);
      if (header === null ? reply.length > 100 : reply.length >= header[0].length + Number(header[1])) end();
    });
  });
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
