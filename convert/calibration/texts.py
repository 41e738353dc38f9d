"""Questions and answers in several languages, code and thinking for the built-in calibration prompts.

Written for this program and licensed as it is; no sentence is among those that `convert verify` measures on.
"""

from __future__ import annotations

Pair = tuple[str, str]

LANGUAGES: tuple[Pair, ...] = (
    (
        "How does a bicycle stay upright while it rolls?",
        "Mostly because the rider steers into the fall. When the bicycle leans to the left, the front wheel turns a "
        "little to the left as well, the wheels roll back under the weight, and the lean ends. The trail of the fork "
        "helps with this, the spinning of the wheels only a little.",
    ),
    (
        "Write a short, polite mail that moves a dentist's appointment from Tuesday to Friday.",
        "Subject: Appointment on Tuesday\n\nDear Dr. Okafor,\n\nunfortunately I cannot come on Tuesday "
        "at nine. Would "
        "Friday morning suit you instead? Any time before noon is fine.\n\nKind regards,\nMira Lund",
    ),
    (
        "List the steps to plant tomatoes on a balcony.",
        "1. Choose a pot of at least twenty litres with holes in its bottom.\n2. Fill it with loose soil and some "
        "compost.\n3. Set the young plant deeper than it stood before.\n4. Tie it to a stick.\n5. Water "
        "the soil, not "
        "the leaves, early in the day.\n6. Break off the shoots between stem and branch every week.",
    ),
    (
        "Erkläre den Unterschied zwischen Wetter und Klima.",
        "Wetter ist, was heute draußen geschieht: Regen, Wind, Sonne an einem Ort. Klima ist der Durchschnitt über "
        "dreißig Jahre. Ein kalter Tag im Mai sagt über das Klima so wenig wie ein Würfelwurf über den Würfel.",
    ),
    (
        "Pourquoi la mer est-elle salée ?",
        "La pluie dissout des minéraux dans les roches, et les fleuves les emportent vers la mer. L'eau "
        "s'évapore, le "
        "sel reste. Au fil de millions d'années, la concentration est montée jusqu'à trente-cinq grammes par litre.",
    ),
    (
        "¿Cómo se cuida una planta de albahaca en casa?",
        "Ponla cerca de una ventana con sol, riégala cuando la tierra esté seca por encima y corta las "
        "puntas a menudo. "
        "Si florece, quita las flores para que las hojas sigan tiernas.",
    ),
    (
        "Spiega in breve che cosa fa un direttore d'orchestra.",
        "Sceglie con i musicisti come suonare un brano: il tempo, il volume, il carattere. Durante il "
        "concerto il gesto "
        "serve a tenere insieme tutti, ma il lavoro vero si fa nelle prove.",
    ),
    (
        "Qual é a diferença entre um rio e um canal?",
        "Um rio nasce por si e procura o seu caminho para o mar. Um canal é escavado por pessoas, quase "
        "sempre com água "
        "parada ou lenta, para levar barcos ou regar campos.",
    ),
    ("请解释什么是复利。", "复利就是利息再生利息。第一年一百元得五元,第二年按一百零五元计息,时间越长,增长越快。"),
    ("写一条通知:周六停水。", "各位住户:因检修水管,本周六上午九点到下午三点停水,请提前储水。给您带来不便,敬请谅解。"),
    (
        "電車の中で守るべきマナーを教えてください。",
        "電話は控え、音楽は小さな音で聞きます。混んでいる時はリュックを前に抱え、降りる人が先です。",
    ),
    (
        "한국의 사계절을 짧게 설명해 주세요.",
        "봄에는 꽃이 피고, 여름은 덥고 비가 많습니다. 가을은 맑고 선선하며, 겨울은 춥고 건조합니다.",
    ),
    (
        "Почему листья осенью желтеют?",
        "Осенью дерево забирает из листьев зелёный хлорофилл, и становятся видны жёлтые красители, "
        "которые были в них "
        "и летом. Потом лист отделяется, чтобы дерево не теряло воду зимой.",
    ),
    ("كيف تُحفظ القهوة طازجة؟", "تُحفظ حبوب القهوة في وعاء محكم بعيدًا عن الضوء والحرارة، وتُطحن قبل التحضير مباشرة."),
    ("हिमालय इतना ऊँचा क्यों है?", "भारतीय भू-पट्टी उत्तर की ओर खिसककर एशिया से टकराती है, और बीच की चट्टानें ऊपर उठती जाती हैं।"),
)

CODE: tuple[Pair, ...] = (
    (
        "Write a SQL query: the three customers with the highest turnover in 2023.",
        "```sql\nSELECT c.id, c.name, SUM(o.total) AS turnover\nFROM customers AS c\nJOIN orders AS o "
        "ON o.customer_id = "
        "c.id\nWHERE o.ordered_at >= '2023-01-01' AND o.ordered_at < '2024-01-01'\nGROUP BY c.id, c.name\nORDER BY "
        "turnover DESC\nLIMIT 3;\n```",
    ),
    (
        "What is wrong here?\n```python\ndef add(item, items=[]):\n    items.append(item)\n    return items\n```",
        "The default list is made once, when the function is defined, so all calls share it. Take None "
        "as the default "
        "and make a new list inside:\n```python\ndef add(item, items=None):\n    items = [] if items is "
        "None else items"
        "\n    items.append(item)\n    return items\n```",
    ),
    (
        "A JavaScript function that waits until an element appears, please.",
        "```js\nfunction waitFor(selector, timeout = 5000) {\n  return new Promise((resolve, reject) => "
        "{\n    const found "
        "= document.querySelector(selector);\n    if (found) return resolve(found);\n    const observer = new "
        "MutationObserver(() => {\n      const element = document.querySelector(selector);\n      if (element) { "
        "observer.disconnect(); resolve(element); }\n    });\n    observer.observe(document.body, { childList: true, "
        "subtree: true });\n    setTimeout(() => { observer.disconnect(); reject(new Error('timeout')); "
        "}, timeout);\n"
        "  });\n}\n```",
    ),
    (
        "Binary search in Rust over a sorted slice.",
        "```rust\nfn find(items: &[i64], wanted: i64) -> Option<usize> {\n    let (mut low, mut high) = "
        "(0, items.len());"
        "\n    while low < high {\n        let middle = low + (high - low) / 2;\n        match "
        "items[middle].cmp(&wanted) "
        "{\n            std::cmp::Ordering::Equal => return Some(middle),\n            "
        "std::cmp::Ordering::Less => low = "
        "middle + 1,\n            std::cmp::Ordering::Greater => high = middle,\n        }\n    }\n    None\n}\n```",
    ),
    (
        "Rename all .jpeg files in a folder to .jpg, in bash.",
        '```bash\nfor file in *.jpeg; do\n  [ -e "$file" ] || continue\n  mv -n -- "$file" '
        '"${file%.jpeg}.jpg"\ndone\n```',
    ),
)

THINKING: tuple[Pair, ...] = (
    (
        "A jacket costs 80 after a discount of 20 %. What did it cost before?",
        "<think>\n80 is what is left of 100 % - 20 % = 80 %. So 1 % is 1, and 100 % is 100.\n</think>\n\nIt cost 100.",
    ),
    (
        "Which is larger, 3/7 or 5/12?",
        "<think>\nCross-multiply: 3 * 12 = 36, 5 * 7 = 35. 36 > 35, so the first one is larger.\n</think>\n\n3/7 is "
        "larger, by a hair.",
    ),
    (
        "Anna is twice as old as Ben. In five years they are 40 together. How old are they?",
        "<think>\nLet Ben be b, Anna 2b. In five years: b + 5 + 2b + 5 = 40, so 3b = 30, b = "
        "10.\n</think>\n\nBen is 10, "
        "Anna is 20.",
    ),
)
