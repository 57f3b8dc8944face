export interface Frame {
  id?: string;
  data: string;
}

/** The events of an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html), and undefined for what only says that it is alive. */
export async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame | undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (text + decoder.decode(value, { stream: true })).split("\n\n");
      text = parts.pop()!;
      if (parts.length === 0) yield undefined;
      for (const part of parts) yield frameOf(part);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function frameOf(part: string): Frame | undefined {
  let id: string | undefined;
  const data: string[] = [];
  for (const line of part.split("\n")) {
    if (line.startsWith("id:")) id = line.slice(3).trimStart();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  if (data.length === 0) return undefined;
  return { ...(id !== undefined && { id }), data: data.join("\n") };
}
