/** Why a PDF cannot be read, whoever tries again. The code is the failed run's. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export function damaged(message: string, cause?: unknown): Refusal {
  return new Refusal("document_damaged", message, cause);
}
