"""Further wordings of the questions for JSON, for training alone: mostly heads put before tails."""

from __future__ import annotations

from .further import joined

PLAIN = (
    "JSON of all shapes, please.", "All objects as JSON.", "Answer as JSON.", "Give the picture as JSON.",
    "Turn the picture into JSON.", "Name all things in JSON.", "I need the shapes as JSON.", "Write JSON.",
    "Describe this image in JSON.", "Put what you see into JSON.", "Put all objects into a JSON list.",
    "Which shapes are there? Answer in JSON.", "What is in the image? JSON", "JSON: all shapes",
    "Output what is in the picture as JSON.", "Give me JSON of what you see.", "Show all shapes in JSON format.",
    "Report the objects as JSON.", "Use JSON to describe the picture.", "Everything you see as a JSON list.",
    "Describe all objects in JSON format.", "Output JSON.", "List the objects in JSON format.", "Objects in JSON?",
    "Name every shape and its color as JSON.", "Return a JSON list of the shapes.", "Return what is there in JSON.",
)  # fmt: skip
WITH_KEYS = (
    *joined(
        ("Describe all objects as JSON", "Write every shape as JSON", "Give me a JSON list of all things",
         "List the shapes in JSON", "Answer with a JSON list of objects", "I need JSON of all shapes",
         "Turn the picture into JSON", "Report each object as JSON", "All objects as JSON", "JSON list of the shapes",
         "Return a JSON list of all objects", "Output each shape as JSON", "Return every object as JSON",
         "Output JSON"),
        (" with the keys {keys}.", " with {keys}.", ", keys {keys}.", ". Use the keys {keys}.", ". Keys: {keys}.",
         ", each with {keys}.", " with the fields {keys}, please.", " that has {keys}.", " with {keys} for each.",
         " using the keys {keys}.", ". Every item has {keys}.", ". I need {keys}.", " where each one has {keys}."),
        "",
    ),
    "For each shape give {keys} as JSON.", "Give {keys} of every object as JSON.", "{keys} of all objects as JSON.",
    "I want {keys} for every thing, as JSON.", "For every object: {keys}, in JSON.", "JSON with {keys}, please.",
    "Tell me {keys} of each shape as JSON.", "List {keys} of all shapes in JSON.", "Only {keys}, as a JSON list.",
)  # fmt: skip
BY_EXAMPLE = (
    "Fill this in: {example}", "Follow this format: {example}", "Write JSON like {example}.", "Schema: {example}",
    "The answer has to look like {example}.", "Describe the picture in this JSON: {example}", "As JSON: {example}",
    "Give the objects in the form {example}", "All shapes, please. Format: {example}", "Use the schema {example}.",
    "Schema: {example} What do you see?", "JSON schema: {example}", "{example} Write the shapes like that.",
    "Answer with JSON that looks like {example}.", "I need the objects in this format: {example}",
    "What is in the picture? Use {example}", "Put the objects into {example}", "Write the objects as {example}",
    "Describe the shapes. Schema: {example}", "Return JSON like this: {example}", "Output the shapes as {example}.",
    "Give me all objects. JSON schema: {example}", "Format your answer like {example}.", "Example: {example}",
)  # fmt: skip
SIGN = (
    *joined(
        ("Write what the sign says as JSON", "Read the text and answer as JSON", "The sign as JSON",
         "Turn the sign into JSON", "I need the text as JSON", "Output the text in JSON", "Return the text as JSON"),
        (" with the keys {keys}.", " with {keys}.", ", keys {keys}.", ". Keys: {keys}.", " using the keys {keys}.",
         " that has {keys}.", ". It has {keys}.", " with the fields {keys}."),
        "",
    ),
    "Give {keys} of the sign as JSON.", "JSON with {keys}, please.", "What is written? JSON with {keys}.",
    "Tell me {keys} of the text as JSON.",
)  # fmt: skip
COUNT = (
    "Count the {many}. JSON with the key {key}.", "Number of {many} as {example}.",
    "Fill this in for the {many}: {example}", "Count the {many}, answer in JSON, key {key}.",
    "{example}: put in the number of {many}.", "JSON, key {key}: count of {many}",
    "Tell me the number of {many} like this: {example}", "Use {example} for the number of {many}.",
    "I need the number of {many} as JSON with the key {key}.",
    "Output the count of {many} in JSON with the key {key}.", "How many {many} are shown? JSON: {example}",
    "Return the count of the {many} as {example}.", "Give the count of {many} in the form {example}.",
    "Store the number of {many} in JSON under {key}.",
)  # fmt: skip
