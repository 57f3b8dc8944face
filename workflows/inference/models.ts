/** The model that comes with Millrace: it answers from the text of the request. */
export const EXTRACTIVE_MODEL = "millrace-extractive-1";
