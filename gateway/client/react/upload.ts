import { useEffect, useMemo, useState } from "react";
import { type Client, ClientError, type Uploaded, type UploadOptions } from "../index.ts";

/** How the file that was given last is coming along. */
export interface UploadState {
  state: "idle" | "uploading" | "completed" | "failed" | "cancelled";
  /** In bytes. */
  sent: number;
  /** In bytes. */
  total: number;
  /** From 0 to 1. */
  progress: number;
  /** What was made of the file, once it is there. */
  result: Uploaded | undefined;
  /** Why it has failed. */
  error: unknown;
}

type Given = Omit<UploadOptions, "signal">;

/** The same, and what may be done with it. */
export interface UseUpload extends UploadState {
  /** Sends a file, in place of one that is under way. @returns what was made of it; undefined if it is not all there: `state` says why */
  upload(file: Blob, options?: Given): Promise<Uploaded | undefined>;
  cancel(): void;
  /** Goes on with the file that has failed or was cancelled, where the gateway is. @returns as `upload` */
  resume(): Promise<Uploaded | undefined>;
}

const IDLE: UploadState = {
  ...{ state: "idle", sent: 0, total: 0, progress: 0 },
  ...{ result: undefined, error: undefined },
};

/** Sends files, one at a time, for as long as the component is there. */
export function useUpload(client: Client): UseUpload {
  const [state, setState] = useState(IDLE);
  const [uploader] = useState(() => new Uploader((change) => setState((before) => ({ ...before, ...change }))));
  useEffect(() => () => uploader.cancel(), [uploader]);
  return useMemo(
    () => ({
      ...state,
      upload: (file, options = {}) => uploader.upload(client, file, options),
      cancel: () => uploader.cancel(),
      resume: () => uploader.resume(),
    }),
    [client, state, uploader],
  );
}

/** One file after the other. */
class Uploader {
  readonly #set: (change: Partial<UploadState>) => void;
  /** What ends what is under way; aborted once nothing is. */
  #under: AbortController | undefined;
  /** What is sent, or was last and is not all there. */
  #open: { client: Client; file: Blob; options: Given } | undefined;

  constructor(set: (change: Partial<UploadState>) => void) {
    this.#set = set;
  }

  upload(client: Client, file: Blob, options: Given): Promise<Uploaded | undefined> {
    this.cancel();
    this.#under = undefined;
    this.#open = { client, file, options };
    this.#set({ ...IDLE, total: file.size });
    return this.resume();
  }

  cancel(): void {
    this.#under?.abort();
  }

  async resume(): Promise<Uploaded | undefined> {
    const open = this.#open;
    if (open === undefined || this.#under?.signal.aborted === false) return undefined;
    const under = new AbortController();
    this.#under = under;
    const set = (change: Partial<UploadState>) => {
      if (this.#under === under) this.#set(change);
    };
    set({ state: "uploading", error: undefined });
    try {
      const { client, file, options } = open;
      const result = await client.upload(file, {
        ...options,
        signal: under.signal,
        onLocation(location) {
          open.options = { ...open.options, location };
          options.onLocation?.(location);
        },
        onProgress(sent, total) {
          set({ sent, total, progress: total === 0 ? 1 : sent / total });
          options.onProgress?.(sent, total);
        },
      });
      set({ state: "completed", result });
      if (this.#under === under) this.#open = undefined;
      return result;
    } catch (error) {
      // The gateway no longer has what was sent: it begins anew.
      const isGone = error instanceof ClientError && (error.status === 404 || error.status === 410);
      if (isGone) open.options = { ...open.options, location: undefined };
      set(under.signal.aborted ? { state: "cancelled" } : { state: "failed", error });
      return undefined;
    } finally {
      under.abort();
    }
  }
}
