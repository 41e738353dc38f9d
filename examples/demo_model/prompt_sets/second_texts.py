"""Prompts unlike the demo's own for the set that is looked at once, after all methods are chosen."""

from __future__ import annotations

from . import sketches
from .unlike import Unlike

PROMPTS = (
    Unlike(
        "winter",
        "prose",
        "Write a paragraph about the first snow in a mountain village.",
        "It began at noon, so thin that the children had to hold out their sleeves to be sure. By four the road to "
        "the mill was gone, and old Reto put the shovel beside the door, as his father had done. Nobody spoke loudly. "
        "Even the dogs walked as if someone were asleep in the next room.",
    ),
    Unlike(
        "bicycle",
        "prose",
        "My bicycle chain keeps slipping. What can I do?",
        "First look at the chain itself: measured over twelve links it should be 305 millimetres long, and one that "
        "has grown by two millimetres is worn out. Then check whether the teeth of the small sprockets look like "
        "shark fins. If both are fine, turn the screw of the rear derailleur by a quarter and try again.",
    ),
    Unlike(
        "minutes",
        "prose",
        "Summarise our meeting in a few sentences.",
        "The board met on Thursday with seven members present. The budget for the new roof was raised to 42,000 and "
        "approved with one vote against. Ms. Okafor will ask three firms for offers by the end of the month. The "
        "summer fair stays on the second Sunday of July; who cooks is still open.",
    ),
    Unlike(
        "tides",
        "prose",
        "Why are there two high tides a day?",
        "The moon pulls the water on the near side more strongly than the solid earth, and the earth more strongly "
        "than the water on the far side. So the sea bulges on both sides, and as the earth turns once a day, every "
        "coast passes through two bulges. The sun does the same, only half as much.",
    ),
    Unlike(
        "dialogue",
        "prose",
        "Write a scene in which two strangers share an umbrella.",
        "'You will ruin that hat,' she said, and held the umbrella a little further to the left. 'It was ruined when "
        "I bought it.' They walked as far as the library in step, without meaning to. At the corner he stopped. 'I "
        "live on the other side of the river.' 'So do I,' she said. 'I only hoped you would not.'",
    ),
    Unlike(
        "marché",
        "prose",
        "Décris un marché de village en quelques phrases.",
        "Dès sept heures, les tables se couvrent de tomates, de fromages et de miel. La marchande de fleurs parle à "
        "tout le monde, même aux chiens. À midi il ne reste que des feuilles de salade sur les pavés, et deux "
        "vieux messieurs qui discutent du prix des melons.",
    ),
    Unlike(
        "lease",
        "prose",
        "Draft a clause about pets for a lease.",
        "The tenant may keep small animals such as fish or hamsters without asking. Dogs and cats need the written "
        "consent of the landlord, which shall not be refused without good reason. The consent ends if neighbours are "
        "disturbed repeatedly and two written warnings had no effect. Damage done by an animal is paid by its owner.",
    ),
    Unlike(
        "astronomer",
        "prose",
        "Give me the first lines of a novel about an astronomer.",
        "For eleven years Ines Varga had pointed her telescope at the same patch of nothing. Her colleagues had given "
        "up asking. On the night of the ninth of March, at twenty to three, the nothing blinked. She wrote down the "
        "time, put the lid on her tea, and did what no one had ever seen her do: she ran.",
    ),
    Unlike(
        "binary-search",
        "code",
        "Write binary search in Python without recursion.",
        "```python\ndef find(values, wanted):\n    low, high = 0, len(values) - 1\n    while low <= high:\n    "
        "    middle = (low + high) // 2\n        if values[middle] == wanted:\n            return middle\n    "
        "    if values[middle] < wanted:\n            low = middle + 1\n        else:\n            high = midd"
        "le - 1\n    return -1\n```",
    ),
    Unlike(
        "debounce",
        "code",
        "How do I debounce an input handler in JavaScript?",
        "```js\nfunction debounce(handler, delay) {\n  let timer = null;\n  return (...args) => {\n    "
        "clearTimeout(timer);\n    timer = setTimeout(() => handler(...args), delay);\n  };\n}\n\nconst search = "
        'debounce(query => fetch(`/find?q=${query}`), 250);\ninput.addEventListener("input", event => '
        "search(event.target.value));\n```",
    ),
    Unlike(
        "matrix",
        "code",
        "Multiply two matrices in C.",
        "```c\nvoid multiply(const double *a, const double *b, double *c, int n) {\n    for (int i = 0; i < n"
        "; i++) {\n        for (int j = 0; j < n; j++) {\n            double sum = 0.0;\n            for (int "
        "k = 0; k < n; k++)\n                sum += a[i * n + k] * b[k * n + j];\n            c[i * n + j] = "
        "sum;\n        }\n    }\n}\n```",
    ),
    Unlike(
        "dockerfile",
        "code",
        "Write a Dockerfile for a small Flask application.",
        "```dockerfile\nFROM python:3.12-slim\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install --no-cach"
        'e-dir -r requirements.txt\nCOPY . .\nEXPOSE 8000\nCMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:cre'
        'ate_app()"]\n```',
    ),
    Unlike(
        "traits",
        "code",
        "Show a Rust trait with two implementations.",
        "```rust\ntrait Area {\n    fn area(&self) -> f64;\n}\n\nstruct Disc { radius: f64 }\nstruct Field { widt"
        "h: f64, height: f64 }\n\nimpl Area for Disc {\n    fn area(&self) -> f64 { 3.14159 * self.radius * se"
        "lf.radius }\n}\n\nimpl Area for Field {\n    fn area(&self) -> f64 { self.width * self.height }\n}\n```",
    ),
    Unlike(
        "carpet",
        "prose",
        "Could this be the pattern of a carpet? Tell me where such a one would be woven.",
        "It could well be. In the valleys behind Shiraz families weave carpets whose colours run into each other like "
        "this, because the wool is dyed in small pots and no two pots are alike. A carpet of two metres takes a "
        "winter. The weavers say that a straight line is for those who have never seen the wind.",
        lambda: (sketches.waves(seed="second carpet"),),
    ),
    Unlike(
        "cells",
        "prose",
        "A student shows you this from under a microscope. What do you say?",
        "Turn the light down a little first, it washes out the edges. The round bodies with a clear rim are probably "
        "air, and you get rid of them by lowering the glass from one side. The filled ones are what we came for. Draw "
        "four of them with a sharp pencil, and write the scale beside your drawing.",
        lambda: (sketches.dots(seed="second cells", num=28),),
    ),
    Unlike(
        "notice",
        "prose",
        "Explain to my grandmother what this notice wants from her.",
        "They are going to replace the water pipes in the cellar, and for that the water will be off on Monday from "
        "eight to two. You need not be at home. Fill the big pot and the bath on Sunday evening, and leave the taps "
        "closed until I call you. Nothing costs you anything.",
        lambda: (
            sketches.page("NOTICE to all tenants", "Water off on Monday, 8 - 14 h", "New pipes", seed="second n"),
        ),
    ),
    Unlike(
        "weather-map",
        "prose",
        "Read this as a weather map and give the forecast.",
        "A band of rain moves in from the north-west and reaches the coast by noon. Behind it the air clears, with "
        "gusts up to sixty kilometres an hour on exposed hills. The night stays mild at eleven degrees. From "
        "Wednesday on high pressure builds over the islands, and the rest of the week will be dry.",
        lambda: (sketches.waves(seed="second weather"),),
    ),
    Unlike(
        "compare-two",
        "prose",
        "Which of the two would you print on a T-shirt, and why?",
        "I would take the second one. The first is lively, but on cloth its fine grain turns to mud after three "
        "washes. Large, flat forms print well, and they can be read from across a street. Put it on dark blue, no "
        "wider than a hand, and leave the back empty.",
        lambda: (sketches.waves(seed="second shirt"), sketches.dots(seed="second shirt", num=12)),
    ),
    Unlike(
        "list-to-code",
        "code",
        "Make a Python dictionary of this list.",
        '```python\nstock = {\n    "bolts": 240,\n    "washers": 1125,\n    "hinges": 36,\n    "brackets": 78,\n}'
        '\nlow = [name for name, number in stock.items() if number < 50]\nprint(f"order soon: {low}")\n```',
        lambda: (sketches.page("bolts 240", "washers 1125", "hinges 36", "brackets 78", seed="second list"),),
    ),
    Unlike(
        "svg",
        "code",
        "Write an SVG with three circles in the colours of this picture.",
        '```xml\n<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80">\n  <rect width="120" height="80" '
        'fill="#1b2430"/>\n  <circle cx="30" cy="40" r="14" fill="#d96c4f"/>\n  <circle cx="62" cy="26" r="9" '
        'fill="#7fc8a9"/>\n  <circle cx="88" cy="52" r="18" fill="none" stroke="#e8d27a"/>\n</svg>\n```',
        lambda: (sketches.dots(seed="second svg"),),
    ),
    Unlike(
        "error",
        "code",
        "This is what my program printed. Fix it.",
        "The loop runs one step too far: `range(len(rows) + 1)` asks for a row behind the last one.\n```python\nfor "
        "index in range(len(rows)):\n    total += rows[index].price * rows[index].number\nprint(round(total, 2))\n```",
        lambda: (sketches.page("Traceback:", "line 14, in <module>", "IndexError: list index", seed="second error"),),
    ),
)
