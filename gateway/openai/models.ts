import type * as v from "valibot";
import type { ConfigEntry } from "../../engine/index.ts";
import { HASHING_MODEL } from "../../workflows/embeddings/model.ts";
import { type Inability, inabilityOf } from "../../workflows/inference/abilities.ts";
import { deploymentKey } from "../../workflows/inference/deployments.ts";
import { EXTRACTIVE_MODEL } from "../../workflows/inference/models.ts";
import type { ModelServer } from "../../workflows/inference/server.ts";
import type { InferenceInput } from "../../workflows/inference/workflow.ts";
import { ProblemError } from "../problem.ts";
import type { modelView } from "../views/openai.ts";

/** What the model server that the workers ask is known to have. */
export type RemoteModels = Pick<ModelServer, "model" | "embeddingModel" | "others">;

export type ModelView = v.InferOutput<typeof modelView>;

/** The embedded models are of 1 January 2026. */
const CREATED = 1_767_225_600;
const DEPLOYMENTS = deploymentKey("");

/** The embedded models, those that a model server is known to have, and those that were deployed on it. */
export function modelsOf(remote: RemoteModels | undefined, config: ReadonlyMap<string, ConfigEntry>): ModelView[] {
  const local = [EXTRACTIVE_MODEL, HASHING_MODEL];
  const named =
    remote === undefined ? [] : [remote.model, remote.embeddingModel, ...remote.others, ...deployed(config)];
  const ids = [...new Set([...local, ...named])];
  return ids.map((id) => ({
    id,
    object: "model",
    created: CREATED,
    owned_by: local.includes(id) ? "millrace" : "model-server",
    ...deploymentOf(config.get(deploymentKey(id))),
  }));
}

function deployed(config: ReadonlyMap<string, ConfigEntry>): string[] {
  const keys = [...config.keys()].filter((key) => key.startsWith(DEPLOYMENTS) && key !== DEPLOYMENTS);
  return keys.sort().map((key) => key.slice(DEPLOYMENTS.length));
}

function deploymentOf(entry: ConfigEntry | undefined): { created?: number; version?: string } {
  const { version } = (entry?.value ?? {}) as { version?: unknown };
  if (entry === undefined || typeof version !== "string") return {};
  return { created: Math.floor(Date.parse(entry.updatedAt) / 1_000), version };
}

/** @throws ProblemError 404 for a model that nobody has, 400 for what the embedded model cannot do */
export function checkChat(model: string, input: InferenceInput, remote: RemoteModels | undefined): void {
  if (model === HASHING_MODEL) throw unfit({ path: ["model"], message: `${model} makes embeddings.` });
  if (model !== EXTRACTIVE_MODEL && remote === undefined) throw noSuchModel(model);
  checkInference(input);
}

/** @throws ProblemError 400 for what the embedded model cannot do, where it is asked for by name */
export function checkInference(input: InferenceInput): void {
  const inability = input.model === EXTRACTIVE_MODEL ? inabilityOf(input) : undefined;
  if (inability !== undefined) throw unfit(inability);
}

/** @throws ProblemError 404 for a model that nobody has, 400 for one that makes no embeddings */
export function checkEmbedding(model: string, remote: RemoteModels | undefined): void {
  if (model === EXTRACTIVE_MODEL) throw unfit({ path: ["model"], message: `${model} makes no embeddings.` });
  if (model !== HASHING_MODEL && remote === undefined) throw noSuchModel(model);
}

export function noSuchModel(model: string): ProblemError {
  const detail = `There is no model ${JSON.stringify(model.slice(0, 200))}.`;
  return new ProblemError(404, "model_not_found", detail, { errors: [{ path: ["model"], message: detail }] });
}

function unfit({ path, message, code }: Omit<Inability, "code"> & Partial<Inability>): ProblemError {
  return new ProblemError(400, code ?? "not_supported", message, { errors: [{ path, message }] });
}
