// Talk to the server: list its models, and stream answers.

const ENDED_EARLY = "The connection ended before the answer did. Try again.";

/** What the server refused, or could not do. */
export class ServerError extends Error {}

/** List the models: [{id, is_loaded, ...}]. */
export async function listModels(key) {
  const response = await call("/v1/models", { headers: headersFor(key) });
  return (await response.json()).data;
}

/**
 * Stream an answer.
 * @param {object} body A chat completion request without `stream`.
 * @param {{key: string, signal: AbortSignal}} how
 * @yields {{thought?: string, text?: string, calls?: object[], finish?: string, usage?: object, timings?: object, warnings?: string[]}}
 */
export async function* streamAnswer(body, { key, signal }) {
  const response = await call("/v1/chat/completions", {
    method: "POST",
    headers: { ...headersFor(key), "content-type": "application/json" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let hasEnded = false;
  for await (const data of readEvents(response.body, signal)) {
    hasEnded ||= data === "[DONE]";
    if (hasEnded) continue; // up to the end of the body, so that the connection can be used again
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ServerError(chunk.error.message);
    yield readChunk(chunk);
  }
  if (!hasEnded) throw new ServerError(ENDED_EARLY);
}

function readChunk(chunk) {
  const choice = chunk.choices[0] ?? { delta: {} };
  return {
    thought: choice.delta.reasoning_content,
    text: choice.delta.content,
    calls: choice.delta.tool_calls,
    finish: choice.finish_reason ?? undefined,
    usage: chunk.usage ?? undefined,
    timings: chunk.timings,
    warnings: chunk.warnings,
  };
}

async function* readEvents(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (waiting + value).split("\n\n");
      waiting = events.pop();
      for (const event of events) {
        const lines = event.split("\n").filter((line) => line.startsWith("data:"));
        if (lines.length) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  } catch (error) {
    throw signal.aborted ? error : new ServerError(ENDED_EARLY); // browsers only say "network error"
  } finally {
    await reader.cancel().catch(() => {}); // leaving early tells the server to stop
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server cannot be reached. Start it again: python -m edge.server");
  }
  if (response.ok) return response;
  let message = `The server answered with status ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // not JSON: the status is all there is to tell
  }
  if (response.status === 401) message += " Enter it in the settings.";
  throw new ServerError(message);
}

function headersFor(key) {
  return key ? { authorization: `Bearer ${key}` } : {};
}
