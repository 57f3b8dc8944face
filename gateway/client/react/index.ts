"use client";

export type { ListState, RunFilter, RunState } from "../index.ts";
export { MillraceProvider, useClient } from "./provider.ts";
export { type Shown, useRun, useRuns } from "./runs.ts";
export { type UploadState, type UseUpload, useUpload } from "./upload.ts";
