"""Still more wordings of what tools are asked for, for training alone: mostly heads put before tails."""

from __future__ import annotations

from ..asked.further import joined

WEATHER = (
    *joined(("Is it", "Will it be", "Was it", "Is it going to be"),
            ("warm in {}?", "freezing in {}?", "cloudy in {}?", "wet in {}?", "nice in {}?", "foggy in {}?",
             "hot in {} today?", "stormy in {}?", "dry in {} now?")),
    *joined(("How warm", "How hot", "How windy", "How wet", "How chilly", "How nice", "How bad", "How icy", "How rainy",
             "How sunny", "How mild", "How cool", "How dry", "How foggy", "How cloudy", "How frosty"),
            ("is it in {}?", "is it in {} today?", "will it be in {}?", "does it get in {}?")),
    "What does the sky look like in {}?", "Does it snow in {}?", "Any rain in {}?", "Any clouds over {}?",
    "Get me the weather of {}.", "What is it like outside in {}?", "Should I take an umbrella to {}?",
)  # fmt: skip
TIME = (
    *joined(("Get me", "Say", "Let me know", "Look up", "Find out", "Read me"), ("the time in {}.", "the hour in {}.")),
    "What is the local hour in {}?", "What hour do they have in {}?", "Is it morning in {}?", "Is it noon in {}?",
    "Local time of {}?", "Which time do they have in {}?", "Are they asleep in {}? Get the time.",
)  # fmt: skip
SEARCH = (
    *joined(("Run", "Make", "Start", "Perform"), ("a search on {}.", "a search about {}.", "a web search on {}.")),
    *joined(("Can you", "Could you", "Would you", "Will you"),
            ("find {}?", "search for {}?", "search {} on the web?", "find something on {}?")),
    "Do some research on {}.", "Try to find {}.", "Check {} online.", "Look online for {}.", "Browse for {}.",
)  # fmt: skip
PRICE = (
    "What would {} cost?", "What did {} cost?", "How much do they want for {}?", "How much must I pay for {}?",
    "How much are they asking for {}?", "Price check: {}", "Get me a quote for {}.", "At what price is {} sold?",
    "How much will {} cost me?", "How much money do I need for {}?", "Let me know the price of {}.",
    "Find out what {} costs.", "What are they charging for {}?", "Could you check the price of {}?",
)  # fmt: skip
TIMER = (
    *joined(("I want", "Give me", "Make me", "Run", "Let me have", "Please start"),
            ("a timer of {} minutes.", "a timer over {} minutes.", "an alarm in {} minutes.", "a {} minute timer.",
             "a countdown of {} minutes.")),
    "Let me know when {} minutes have passed.", "Beep in {} minutes.", "{} minutes from now, ring.",
)  # fmt: skip
MESSAGE = (
    *joined(("Send", "Give", "Pass", "Forward"),
            ("{} this message: {}", "{} these words: {}", "{} the following: {}", "{} my answer: {}")),
    "Drop {} a line: {}", "Inform {}: {}", "Ping {}: {}", "Say to {}: {}", "Reply to {}: {}", "Answer {}: {}",
    "Contact {} and say: {}", "My message to {}: {}", "I want {} to know: {}", "Tell {} the following: {}",
)  # fmt: skip
LIST = (
    *joined(("Jot down", "Take down", "Record", "Save", "Put down", "Keep", "Mark"),
            ("{} for later.", "{} for the shop.", "{} as something to buy.", "{} on my list.")),
    *joined(("Note that we need", "Remind me to buy", "I must buy", "I have to get", "We are low on", "Please get"),
            ("{}.", "{} soon.", "more {}.")),
    *joined(("Note", "Note down"), ("{}.", "{} on the list.", "{} on my shopping list.", "{} to buy.")),
    *joined(("Mark", "Plan", "Set aside", "Record", "Put down"), ("{} for shopping.", "{} for my shopping.")),
    "{} goes on the list.", "Let us buy {}.", "The list needs {}.",
)  # fmt: skip
LIGHT = (
    "I would like the {} light {}.", "Please have the light in the {} {}.", "Get the {} light {}.",
    "The light in the {}: {}, please.", "Set the lamp in the {} to {}.", "Put the {} lamp {}.", "{}: light {}",
    "Could you switch the {} light {}?", "Can you turn the light in the {} {}?", "The {} needs its light {}.",
    "I need the lamp in the {} {}.", "Have the lamp of the {} {}.",
)  # fmt: skip
