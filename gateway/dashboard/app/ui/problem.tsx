import { ClientError } from "../../../client/index.ts";

/** What went wrong, where it did. Nothing if nothing did. @param what what was tried, such as `The runs cannot be shown` */
export function Problem({ error, what, again }: { error: unknown; what?: string; again?: () => void }) {
  if (error === undefined || error === null) return null;
  const { title, detail, errors } = told(error);
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{what ?? title}.</strong> {detail}
      </p>
      {errors.length === 0 ? null : (
        <ul>
          {errors.map(({ path, message }) => (
            <li key={path.join(".") + message}>
              {path.length === 0 ? null : <code>{path.join(".")}</code>} {message}
            </li>
          ))}
        </ul>
      )}
      {again === undefined ? null : (
        <button type="button" class="small" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What may be done about it, by the status. */
const MORE: Record<number, string> = {
  403: " Sign in with a key that has it, or ask whoever gave you this one.",
  404: " It may be for operators, whom this gateway serves on a port of their own.",
};

function told(error: unknown): {
  title: string;
  detail: string;
  errors: { path: (string | number)[]; message: string }[];
} {
  if (error instanceof ClientError) {
    const { title, detail, errors = [], status } = error.problem;
    const more = MORE[status === 404 && error.problem.type !== "about:blank" ? 0 : status] ?? "";
    return {
      title: status === 403 ? "This key may not do that" : title || `Status ${status}`,
      detail: detail + more,
      errors,
    };
  }
  if (error instanceof TypeError)
    return { title: "The gateway cannot be reached", detail: "It is tried again when you ask for it.", errors: [] };
  return { title: "That did not work", detail: error instanceof Error ? error.message : String(error), errors: [] };
}
