// The npm clients `openai` and `ai` against a server: `node --input-type=module - URL < clients.mjs`, in a folder that
// has both (and @ai-sdk/openai-compatible) under node_modules. Out: one JSON object of what they understood.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, jsonSchema, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";

const url = `${process.argv[2]}/v1`;
const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const COLOR = {
  type: "object",
  properties: { color: { enum: ["red", "green", "blue"] } },
  required: ["color"],
  additionalProperties: false,
};
const QUESTION = "What is the weather in Paris?";
const weather = { temperature: 21, sky: "sunny" };
const openai = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0 });
const model = createOpenAICompatible({ name: "edge", baseURL: url, includeUsage: true, supportsStructuredOutputs: true })("demo");
const results = {};

// openai: a plain stream, with the thought beside the text and the counts at the end
{
  const seen = { text: "", thought: "", finish: null, usage: null };
  const messages = [{ role: "user", content: "Say something." }];
  const stream = await openai.chat.completions.create({
    model: "demo", messages, temperature: 0, max_completion_tokens: 60, stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    seen.usage = chunk.usage ?? seen.usage;
    for (const choice of chunk.choices) {
      seen.text += choice.delta.content ?? "";
      seen.thought += choice.delta.reasoning_content ?? "";
      seen.finish = choice.finish_reason ?? seen.finish;
    }
  }
  results.openaiStream = seen;
}

// openai: its stream helper puts calls together, and the result leads to the final answer
{
  const tools = [
    { type: "function", function: { name: "get_weather", description: "Get the weather of a city", parameters: CITY } },
  ];
  const fields = { model: "demo", temperature: 0, max_completion_tokens: 200, tools };
  const messages = [{ role: "user", content: QUESTION }];
  const first = await openai.chat.completions.stream({ ...fields, messages }).finalMessage();
  messages.push(first);
  for (const call of first.tool_calls ?? []) {
    messages.push({ role: "tool", tool_call_id: call.id, content: JSON.stringify(weather) });
  }
  const calls = (first.tool_calls ?? []).map((call) => JSON.parse(call.function.arguments));
  const last = openai.chat.completions.stream({ ...fields, messages });
  results.openaiTools = { text: await last.finalContent(), calls };
}

// openai: a streamed response
{
  const kinds = new Set();
  const stream = openai.responses.stream({ model: "demo", input: "Hello", temperature: 0, max_output_tokens: 60 });
  for await (const event of stream) kinds.add(event.type);
  results.openaiResponse = { text: (await stream.finalResponse()).output_text, kinds: [...kinds] };
}

// openai: a stream that is left, and an error
{
  const messages = [{ role: "user", content: "Count." }];
  const stream = await openai.chat.completions.create({ model: "demo", messages, stream: true });
  for await (const _ of stream) break;
  try {
    await openai.chat.completions.create({ model: "demo", messages, temperature: -1 });
  } catch (error) {
    results.openaiError = { kind: error.constructor.name, status: error.status, param: error.param };
  }
}

// ai: a stream with a tool, carried out by the client, to the final answer
{
  const kinds = new Set();
  const calls = [];
  const stream = streamText({
    model, prompt: QUESTION, temperature: 0, maxOutputTokens: 200, stopWhen: stepCountIs(3),
    tools: {
      get_weather: tool({
        description: "Get the weather of a city", inputSchema: jsonSchema(CITY),
        execute: async (given) => (calls.push(given), weather),
      }),
    },
    onError: ({ error }) => { results.aiTrouble = String(error); },
  });
  for await (const part of stream.fullStream) kinds.add(part.type);
  const usage = await stream.totalUsage;
  results.aiTools = { text: await stream.text, calls, kinds: [...kinds], tokens: usage.outputTokens };
}

// ai: an object held to a schema
{
  const { object } = await generateObject({
    model, prompt: "Answer.", schema: jsonSchema(COLOR), temperature: 0, maxOutputTokens: 400,
    providerOptions: { edge: { reasoningEffort: "none" } },
  });
  results.aiObject = object;
}

console.log(JSON.stringify(results));
process.exit(0);
