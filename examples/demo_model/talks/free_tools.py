"""Tools as people declare them: any name, any spelling of the parameters, any words to ask for them.

In: a seeded `random.Random`. Out: `Use`s: a tool's declaration, a question that needs it, and the right arguments.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..asked.wordings import Practice, Wordings, choice
from ..dialogue import CITIES, MESSAGES, PEOPLE, Tool, call_text, call_thought, declare
from ..tasks import Question
from . import further, further_tools

Arguments = dict[str, str | int]
HELD_OUT_CITIES = ("Munich", "Milan", "Lyon", "Bern", "Porto", "Geneva", "Osaka", "Denver")
ITEMS = ("milk", "bread", "tea", "rice", "apples", "soap", "paper", "eggs", "salt", "cheese", "fish", "lamps")
ROOMS = ("kitchen", "bedroom", "office", "garden", "hall", "garage", "bathroom")
SYLLABLES = ("ba", "do", "ka", "li", "mo", "na", "pe", "ri", "so", "tu", "ve", "zan", "ter", "lin", "gor", "mex", "fal")


@dataclass(frozen=True, slots=True)
class Family:
    """Tools of one purpose: names, descriptions, spellings of each parameter with its JSON type, questions."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    parameters: tuple[tuple[tuple[str, ...], str], ...]
    questions: Wordings


@dataclass(frozen=True, slots=True)
class Use:
    """A tool, a question that needs it, and the values it asks for."""

    family: str
    tool: Tool
    text: str
    values: tuple[str | int, ...]

    @property
    def name(self) -> str:
        """Name of the tool."""
        return name_of(self.tool)

    @property
    def arguments(self) -> Arguments:
        """Arguments of the right call."""
        return dict(zip(self.tool["function"]["parameters"]["properties"], self.values, strict=True))

    def question(self, tools: list[Tool]) -> Question:
        """Return the question with its call, `tools` being on offer."""
        thought = call_thought(map(name_of, tools), self.tool)
        return Question("free_tool", self.text, thought, call_text(self.name, self.arguments))


CITY = (("city", "city", "location", "place", "town"), "string")
FAMILIES = {
    "weather": Family(
        ("get_weather", "weather", "get_current_weather", "lookup_weather", "weather_report"),
        ("Get the weather of a city", "Current weather", "Look up the weather for a place"),
        (CITY,),
        Wordings(("What is the weather in {}?", "How is the weather in {}?", "Tell me the weather in {}.",
                  "Is it raining in {}?", "What's the weather like in {}?", "How warm is it in {}?", "Weather in {}?"),
                 ("Is it sunny in {}?", "Give me the weather for {}.", "How cold is it in {}?"),
                 further.WEATHER + further_tools.WEATHER),
    ),
    "time": Family(
        ("get_time", "clock", "current_time", "time_in", "get_local_time"),
        ("Get the time in a city", "Local time", "Tell the time of a place"),
        (CITY,),
        Wordings(("What time is it in {}?", "Tell me the time in {}.", "How late is it in {}?",
                  "What is the time in {}?", "Which time is it in {}?", "Time in {}?"),
                 ("Give me the time in {}.", "What's the local time in {}?"),
                 further.TIME + further_tools.TIME),
    ),
    "search": Family(
        ("search", "web_search", "find", "look_up", "search_web"),
        ("Search the web", "Find something", "Look something up"),
        ((("query", "q", "text", "term"), "string"),),
        Wordings(("Search for {}.", "Look up {}.", "Find {} on the web.", "Search the web for {}.",
                  "Please look up {}.", "What does the web say about {}?"),
                 ("Do a search for {}.", "Can you look up {}?"),
                 further.SEARCH + further_tools.SEARCH),
    ),
    "price": Family(
        ("get_price", "price_of", "lookup_price", "stock_price"),
        ("Get the price of an item", "Look up a price"),
        ((("item", "name", "product", "symbol"), "string"),),
        Wordings(("What is the price of {}?", "How much is {}?", "What does {} cost?", "Tell me the price of {}.",
                  "Look up the price of {}.", "Price of {}?"),
                 ("How much does {} cost?", "Get me the price of {}."),
                 further.PRICE + further_tools.PRICE),
    ),
    "timer": Family(
        ("set_timer", "start_timer", "timer"),
        ("Set a timer", "Start a timer of some minutes"),
        ((("minutes", "duration", "min"), "integer"),),
        Wordings(("Set a timer for {} minutes.", "Start a timer of {} minutes.", "Please set a timer for {} minutes.",
                  "Wake me in {} minutes.", "Timer for {} minutes.", "Remind me in {} minutes."),
                 ("I need a timer for {} minutes.", "Count down {} minutes."),
                 further.TIMER + further_tools.TIMER),
    ),
    "message": Family(
        ("send_message", "write_message", "send_text", "message"),
        ("Send a message", "Write to a person"),
        ((("to", "recipient", "name", "person"), "string"), (("text", "message", "body"), "string")),
        Wordings(("Send a message to {}: {}", "Write to {}: {}", "Tell {} this: {}", "Text {}: {}",
                  "Please write {} a message: {}", "Message {}: {}"),
                 ("Let {} know: {}", "Send {} this text: {}"),
                 further.MESSAGE + further_tools.MESSAGE),
    ),
    "list": Family(
        ("add_item", "add_to_list", "shopping_list", "put_on_list"),
        ("Add an item to the shopping list", "Put something on the list"),
        ((("item", "name", "what"), "string"),),
        Wordings(("Add {} to the list.", "Put {} on the list.", "Add {} to my shopping list.", "We need {}.",
                  "Write {} on the list.", "Please add {}."),
                 ("I want {} on the list.", "Note {} for shopping."),
                 further.LIST + further_tools.LIST),
    ),
    "light": Family(
        ("switch_light", "set_light", "light"),
        ("Switch a light on or off", "Control the light of a room"),
        ((("room", "place"), "string"), (("state", "value"), "string")),
        Wordings(("Switch the light in the {} {}.", "Turn the light in the {} {}.", "Light in the {}: {}.",
                  "Please switch the {} light {}.", "Turn the {} light {}.", "Make the light in the {} {}."),
                 ("I want the light in the {} {}.", "Set the {} light to {}."),
                 further.LIGHT + further_tools.LIGHT),
    ),
}  # fmt: skip


def name_of(tool: Tool) -> str:
    """Return a tool's name."""
    return str(tool["function"]["name"])


def random_use(rng: random.Random, family: str, *, unseen: bool = False) -> Use:
    """Declare a tool of a family and ask for it.

    Args:
        rng: Source of chance.
        family: Key of `FAMILIES`.
        unseen: Take the wordings and cities kept for testing.
    """
    kind = FAMILIES[family]
    spellings: dict[str, str] = {}
    for names, json_type in kind.parameters:
        spellings[rng.choice(names)] = json_type
    tool = declare(rng.choice(kind.names), rng.choice(kind.descriptions), **spellings)
    values = _values(rng, family, unseen=unseen)
    return Use(family, tool, kind.questions.template(rng, unseen=unseen).format(*values), values)


def again(rng: random.Random, use: Use, *, unseen: bool = False) -> Use:
    """Ask for the same tool with other values."""
    other = random_use(rng, use.family, unseen=unseen)
    return Use(use.family, use.tool, other.text, other.values)


def made_up(rng: random.Random) -> str:
    """Make up a name of two or three syllables."""
    if isinstance(rng, Practice) and rng.random() < 0.6:
        return "".join(rng.choices(further.SYLLABLES, k=rng.randint(1, 3))).capitalize()
    return "".join(rng.choices(SYLLABLES, k=rng.randint(2, 3))).capitalize()


def _values(rng: random.Random, family: str, *, unseen: bool) -> tuple[str | int, ...]:
    if family in ("weather", "time"):
        city = rng.choice(HELD_OUT_CITIES) if unseen else choice(rng, CITIES, further.CITIES)
        return (city if rng.random() < 0.6 else made_up(rng),)
    if family == "timer":
        return (rng.randint(2, 90),)
    if family == "message":
        return choice(rng, PEOPLE, further.PEOPLE), choice(rng, MESSAGES, further.MESSAGES)
    if family == "light":
        return choice(rng, ROOMS, further.ROOMS), rng.choice(("on", "off"))
    return (choice(rng, ITEMS, further.ITEMS) if rng.random() < 0.5 else made_up(rng),)
