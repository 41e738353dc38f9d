"""Prompts unlike the demo's own for the set that may be looked at while methods are chosen."""

from __future__ import annotations

from . import sketches
from .unlike import Unlike

PROMPTS = (
    Unlike(
        "letter",
        "prose",
        "Write a short letter to a neighbour about the fence.",
        "Dear Mr. Keller, the storm last Tuesday pushed three boards out of our fence, and one of them now leans on "
        "your roses. I have ordered new boards and would like to repair everything on Saturday morning. Could I come "
        "into your garden for an hour? I will bring coffee and put every flower back where it stood.",
    ),
    Unlike(
        "harbour",
        "prose",
        "Describe a harbour early in the morning.",
        "Before six the harbour belongs to the gulls. Ropes creak, diesel hangs over the water, and the first boat "
        "comes in so low that its deck is nearly awash. Two men pass crates of mackerel from hand to hand without a "
        "word, while the ice machine behind the hall coughs and begins its day.",
    ),
    Unlike(
        "bread",
        "prose",
        "How do I bake a simple loaf of rye bread?",
        "Stir 400 grams of rye flour with 350 millilitres of warm water, a spoon of salt and a cup of sourdough. Let "
        "it rest overnight under a cloth. In the morning knead in another 100 grams of flour, shape the loaf, and "
        "bake it for fifty minutes at 220 degrees. It is done when it sounds hollow from below.",
    ),
    Unlike(
        "bridge",
        "prose",
        "Erkläre kurz, wie eine Hängebrücke ihre Last trägt.",
        "Die Fahrbahn hängt an senkrechten Seilen, und diese hängen an zwei dicken Kabeln. Die Kabel laufen über hohe "
        "Türme und sind an beiden Ufern im Fels verankert. So wird aus dem Gewicht der Wagen ein Zug in den Kabeln "
        "und ein Druck in den Türmen.",
    ),
    Unlike(
        "stack",
        "code",
        "Write a small stack class in Python.",
        "```python\nclass Stack:\n    def __init__(self):\n        self._items = []\n\n    def push(self, item):\n"
        "        self._items.append(item)\n\n    def pop(self):\n        if not self._items:\n"
        '            raise IndexError("the stack is empty")\n        return self._items.pop()\n\n'
        "    def __len__(self):\n        return len(self._items)\n```",
    ),
    Unlike(
        "query",
        "code",
        "Which SQL query lists the ten customers with the largest orders of this year?",
        "```sql\nSELECT c.name, SUM(o.amount) AS total\nFROM customers AS c\nJOIN orders AS o ON o.customer_id = c.id\n"
        "WHERE o.created >= '2026-01-01'\nGROUP BY c.id, c.name\nORDER BY total DESC\nLIMIT 10;\n```",
    ),
    Unlike(
        "shell",
        "code",
        "Show me a shell loop that renames all .jpeg files to .jpg.",
        '```sh\nfor file in *.jpeg; do\n  [ -e "$file" ] || continue\n  mv -- "$file" "${file%.jpeg}.jpg"\ndone\n```\n'
        "The test in the second line keeps the loop quiet where no file matches.",
    ),
    Unlike(
        "gallery",
        "prose",
        "This hangs in a gallery. What would you write about it for visitors?",
        "The painter laid one wash over another while both were wet, so that no edge is quite where it was meant to "
        "be. Stand close, and you see grain and accidents; step back, and slow bands of light begin to move. It was "
        "the last canvas of her years by the sea.",
        lambda: (sketches.waves(seed="tuning gallery"),),
    ),
    Unlike(
        "night",
        "prose",
        "Tell a bedtime story that fits this picture.",
        "Once upon a time the lamps of the town grew tired of standing still. One after another they let go of their "
        "posts and floated up over the roofs. The baker's son saw them from his window and counted until he fell "
        "asleep, and in the morning each lamp stood in its place and said nothing.",
        lambda: (sketches.dots(seed="tuning night"),),
    ),
    Unlike(
        "note",
        "prose",
        "I found this note at the door. Write a friendly answer.",
        "Thank you for taking the parcel in. I am home from seven tonight and will come over then, with a piece of "
        "the cake that I owe you since last month. If that is too late, please leave it under the bench by the "
        "stairs; nobody but the cat ever looks there.",
        lambda: (sketches.page("Your parcel is with us,", "second floor, ring twice.", "Miriam", seed="tuning note"),),
    ),
    Unlike(
        "plot",
        "code",
        "Write Python code that makes a picture like this one.",
        "```python\nimport numpy as np\n\nheight, width = 200, 300\ny, x = np.mgrid[0:height, 0:width]\nred = np"
        ".sin(x / 17.0 + y / 40.0)\ngreen = np.sin(y / 23.0)\nimage = np.stack([red, green, red * green], axi"
        's=-1)\nimage = ((1 + image) * 127).astype("uint8")\n```',
        lambda: (sketches.waves(seed="tuning plot"),),
    ),
    Unlike(
        "parse",
        "code",
        "Turn these lines into a JSON object.",
        '```json\n{\n  "host": "mail.example.org",\n  "port": 587,\n  "user": "office",\n  "retries": 3,\n'
        '  "encrypt": true\n}\n```',
        lambda: (sketches.page("host mail.example.org", "port 587", "user office", "retries 3", seed="tuning parse"),),
    ),
)
