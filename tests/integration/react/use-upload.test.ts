import "../../support/page.ts";
import { act, cleanup, render, renderHook, screen, waitFor } from "@testing-library/react";
import { createElement as h, StrictMode } from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Client, createClient } from "../../../gateway/client/index.ts";
import { type UploadState, useRun, useUpload } from "../../../gateway/client/react/index.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";

const PART = 4 * 1_024 * 1_024;
const BYTES = 2 * PART + 1;
const file = new Blob(["x".repeat(BYTES)], { type: "text/plain" });

let gateway: TestGateway;
let direct: Client;
beforeAll(async () => {
  gateway = await startGateway({ workflows: gatewayWorkflows().workflows });
  direct = createClient({ url: gateway.url });
});
afterEach(cleanup);
afterAll(async () => {
  direct.close();
  await gateway.close();
});

/** A client whose parts are counted, and of which some are refused or held up. */
function clientOf(part: (n: number, signal: AbortSignal) => Promise<Response | undefined> | undefined) {
  const offsets: string[] = [];
  const created: string[] = [];
  const client = createClient({
    url: gateway.url,
    async fetch(url, init) {
      if (init?.method === "POST") created.push(url);
      if (init?.method !== "PATCH") return fetch(url, init);
      offsets.push(new Headers(init.headers).get("upload-offset")!);
      return (await part(offsets.length, init.signal!)) ?? fetch(url, init);
    },
  });
  return { client, offsets, created };
}

const refused = async () => new Response("{}", { status: 403 });
/** Until the request is given up. */
const held = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
const size = async (document: string) =>
  (await (await fetch(`${gateway.url}/v1/documents/${document}`)).arrayBuffer()).byteLength;

test("a file is sent with progress, and the run that it starts is shown", async () => {
  const { client } = clientOf(() => undefined);
  const seen: UploadState[] = [];
  function Upload() {
    const upload = useUpload(client);
    const { run } = useRun(client, upload.result?.run);
    if (seen.at(-1)?.state !== upload.state || seen.at(-1)?.sent !== upload.sent) seen.push(upload);
    const send = () => void upload.upload(file, { name: "x.txt", workflow: "measure" });
    return h("button", { onClick: send, type: "button" }, `${upload.state} ${JSON.stringify(run?.output) ?? ""}`);
  }
  render(h(StrictMode, null, h(Upload)));
  await act(async () => screen.getByText("idle").click());
  await screen.findByText(`completed {"bytes":${BYTES}}`);
  expect(seen[0]).toMatchObject({ state: "idle", sent: 0, total: 0, progress: 0 });
  expect(seen.at(-1)).toMatchObject({ state: "completed", sent: BYTES, total: BYTES, progress: 1, error: undefined });
  const told = seen.filter(({ state }) => state === "uploading");
  expect(told.map(({ sent }) => sent)).toEqual([0, PART, 2 * PART]);
  expect(told.map(({ progress }) => progress)).toEqual([0, PART / BYTES, (2 * PART) / BYTES]);
});

test("one that fails says why, and goes on where it was", async () => {
  const { client, offsets, created } = clientOf((n) => (n === 2 ? refused() : undefined));
  const { result } = renderHook(() => useUpload(client), { wrapper: StrictMode });
  await act(async () => void (await result.current.upload(file, { name: "x.txt" })));
  expect(result.current).toMatchObject({ state: "failed", sent: PART, error: { status: 403 }, result: undefined });
  const done = await act(() => result.current.resume());
  expect(result.current).toMatchObject({ state: "completed", progress: 1, error: undefined, result: done });
  expect(offsets).toEqual(["0", String(PART), String(PART), String(2 * PART)]);
  expect(created).toHaveLength(1);
  expect(await size(done!.document)).toBe(BYTES);
  expect(await act(() => result.current.resume())).toBeUndefined();
  expect(result.current.state).toBe("completed");
});

test("one that is cancelled goes on when it is told to, and from its beginning if the gateway has it no more", async () => {
  let location = "";
  const { client, created } = clientOf((n, signal) => (n === 2 ? held(signal) : undefined));
  const { result } = renderHook(() => useUpload(client));
  const onLocation = (at: string) => {
    location = at;
  };
  let first: Promise<unknown>;
  act(() => {
    first = result.current.upload(file, { name: "x.txt", onLocation });
  });
  await waitFor(() => expect(result.current.sent).toBe(PART));
  act(() => result.current.cancel());
  expect(await act(() => first)).toBeUndefined();
  expect(result.current).toMatchObject({ state: "cancelled", sent: PART, error: undefined });
  await fetch(gateway.url + location, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0" } });
  expect(await act(() => result.current.resume())).toBeUndefined();
  expect(result.current).toMatchObject({ state: "failed", error: { status: expect.any(Number) } });
  const done = await act(() => result.current.resume());
  expect([result.current.state, created.length, await size(done!.document)]).toEqual(["completed", 2, BYTES]);
});

test("one in place of another is the one that is shown, and one whose component leaves is given up", async () => {
  const { promise: given, resolve } = Promise.withResolvers<unknown>();
  const { client, offsets } = clientOf((n, signal) => {
    if (n !== 1 && n !== 3) return undefined;
    signal.addEventListener("abort", () => n === 3 && resolve("given up"));
    return held(signal);
  });
  const { result, unmount } = renderHook(() => useUpload(client));
  const small = new Blob(["small"], { type: "text/plain" });
  await act(async () => {
    const first = result.current.upload(file, { name: "x.txt" });
    await expect.poll(() => offsets.length).toBe(1);
    const second = result.current.upload(small, { name: "y.txt" });
    expect(await first).toBeUndefined();
    expect(await size((await second)!.document)).toBe(5);
  });
  expect(result.current).toMatchObject({ state: "completed", sent: 5, total: 5 });
  act(() => void result.current.upload(file, { name: "z.txt" }));
  await waitFor(() => expect(offsets.length).toBe(3));
  expect(result.current).toMatchObject({ state: "uploading", sent: 0, total: BYTES, result: undefined });
  unmount();
  expect(await given).toBe("given up");
});
