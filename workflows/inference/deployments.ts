/** The topic whose subjects are models: invalidating one drops the answers of it that workers remember. */
export const MODELS = "models";

/** The key of the configuration that says, as `{version}`, which version of a model was deployed last. */
export function deploymentKey(model: string): string {
  return `models.${model}`;
}
