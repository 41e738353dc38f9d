"""Further wordings and values of tools and talks, for training alone."""

from __future__ import annotations

from ..asked.further import joined

WEATHER = (
    "Tell me how the weather is in {}.", "What is the weather like in {}?", "How's the weather in {}?", "{} weather",
    "Is it warm in {}?", "Is it windy in {}?", "Is it snowing in {}?", "Is it hot in {}?", "Do I need a coat in {}?",
    "What is the temperature in {}?", "How many degrees are there in {}?", "Check the weather in {}.",
    "Look up the weather in {}.", "Get the weather of {}.", "I want to know the weather in {}.",
    "The weather in {}, please.", "What will the weather be in {}?", "Does it rain in {}?", "Weather report for {}.",
    "Show me the weather for {}.", "I am going to {}. How is the weather?", "Does the sun shine in {}?",
    "Is the weather good in {}?",
)  # fmt: skip
TIME = (
    "What's the time in {}?", "What time do they have in {}?", "Check the time in {}.", "Get the time of {}.",
    "I want to know the time in {}.", "Time now in {}?", "The time in {}, please.", "Is it late in {}?", "Clock in {}?",
    "What does the clock say in {}?", "Tell me what time it is in {}.", "How late is it now in {}?", "{} time",
    "Which hour is it in {}?", "Show me the time in {}.", "Is it night in {}? Tell me the time.",
    "Look up the time in {}.", "I call someone in {}. What time is it there?",
)  # fmt: skip
SEARCH = (
    "Search {}.", "Web search: {}", "Find out about {}.", "Find something about {}.", "Look for {} on the web.",
    "What can you find about {}?", "Find information about {}.", "Check the web for {}.", "Look {} up.", "Google {}.",
    "I want to know more about {}. Search the web.", "See what the web says about {}.", "Search: {}", "Find {}.",
    "Start a web search for {}.", "Search the internet for {}.", "Get me results for {}.", "Query the web for {}.",
)  # fmt: skip
PRICE = (
    "What's the price of {}?", "How expensive is {}?", "Give me the price of {}.", "Check the price of {}.",
    "I want to know what {} costs.", "Find the price of {}.", "What do I pay for {}?", "{} price",
    "How much money is {}?", "Tell me what {} costs.", "Show me the price of {}.", "The price of {}, please.",
    "Is {} expensive? Get the price.", "What is {} worth?", "For how much do they sell {}?", "Cost of {}?",
)  # fmt: skip
TIMER = (
    "Timer: {} minutes", "{} minutes timer", "Set the timer to {} minutes.", "Start the timer: {} minutes.",
    "Tell me when {} minutes are over.", "Give me {} minutes on the timer.", "Ring in {} minutes.",
    "Wake me up in {} minutes.", "Call me in {} minutes.", "Set {} minutes.", "A timer of {} minutes, please.",
    "Start a {} minute timer.", "Set a {} minute timer.", "Make a timer for {} minutes.", "Alarm in {} minutes.",
    "Start counting {} minutes.", "Let me know in {} minutes.", "Put {} minutes on the clock.",
)  # fmt: skip
MESSAGE = (
    "Message to {}: {}", "Send {} a message: {}", "Send {} the message: {}", "Write {} this: {}", "Tell {}: {}",
    "Say to {}: {}", "Text to {}: {}", "Drop {} a line: {}", "I want to tell {}: {}", "Inform {}: {}",
    "Tell {} that: {}", "Please message {}: {}", "Give {} this message: {}", "For {}: {}", "Send to {}: {}",
    "Post to {}: {}", "Ask {}: {}",
)  # fmt: skip
LIST = (
    "Put {} on my list.", "Put {} on the shopping list.", "Add {}.", "Add {} to my list.", "List {}.", "Buy {}.",
    "We have no {} left.", "I need {}.", "I have to buy {}.", "Do not forget {}.", "Remember to buy {}.",
    "Write down {}.", "{} on the list, please.", "Shopping list: {}", "Add this to the list: {}", "We are out of {}.",
    "Get {} on the list.", "Please put {} on the list.", "Place {} on the shopping list.", "Next on the list: {}",
)  # fmt: skip
LIGHT = (
    "{} light {}", "Light {}: {}", "Put the light in the {} {}.", "Switch the {} light {}.",
    "Turn the light of the {} {}.", "The light in the {} should be {}.", "The {} light has to be {}.",
    "Change the {} light to {}.", "The {} lamp: {}", "Switch the lamp in the {} {}.", "I need the {} light {}.",
    "Make the {} light go {}.", "Have the {} light {}.", "Let the light in the {} be {}.",
    "Turn the lamp in the {} {}.",
)  # fmt: skip
CITIES = (
    "Hamburg", "Naples", "Nice", "Basel", "Seville", "Kyoto", "Dallas", "Miami", "Turin", "Bergen", "Riga", "Tallinn",
    "Sofia", "Lima", "Quito", "Havana", "Nairobi", "Accra", "Dakar", "Tunis", "Mumbai", "Bangkok", "Hanoi", "Manila",
    "Perth", "Houston", "Seattle", "Toronto", "Quebec", "Bremen", "Cologne", "Leipzig", "Graz", "Linz", "Bilbao",
    "Malaga", "Braga", "Ghent", "Utrecht", "Malmo", "Turku", "Krakow", "Brno", "Split", "Varna", "Izmir", "Jakarta",
    "New York", "San Juan", "Cape Town", "Rio", "Kiev", "Minsk", "Zagreb", "Dubai", "Doha", "Boise", "Austin", "Reno",
)  # fmt: skip
PEOPLE = ("Alice", "Bob", "Chris", "Dora", "Eric", "Fiona", "Gus", "Ida", "Jack", "Kim", "Leo", "Mia", "Noah", "Olga",
          "Paul", "Rita", "Sam", "Tina", "Uwe", "Vera", "Will", "Yara", "Zoe", "mom", "dad", "my boss")  # fmt: skip
MESSAGES = (
    "hello", "yes", "no", "good night", "I will come", "bring milk", "we won", "please call", "ok", "the train is late",
    "have fun", "good luck", "I am on my way", "where is the key", "dinner is ready", "see you at noon",
    "happy new year", "it rains", "do not wait", "I need help", "open the door", "the car is red", "buy two eggs",
    "meet me at 5",
)  # fmt: skip
ROOMS = (
    "cellar",
    "living room",
    "attic",
    "bath",
    "corridor",
    "lobby",
    "shed",
    "studio",
    "porch",
    "dining room",
    "yard",
)
ITEMS = (
    "butter", "sugar", "flour", "coffee beans", "pears", "bananas", "pasta", "beans", "onions", "tomatoes", "wine",
    "oil", "honey", "nuts", "chairs", "pens", "shoes", "candles", "batteries", "towels", "cups", "juice", "grapes",
    "carrots", "green tea", "old books", "toys", "gloves", "a hat", "a ball", "corn", "meat", "cake", "gold",
    "silver", "a phone",
)  # fmt: skip
SYLLABLES = (
    "al", "an", "ar", "bar", "bel", "bi", "bor", "bru", "ce", "cha", "co", "cu", "dan", "del", "di", "dra", "el",
    "en", "er", "fa", "fen", "fi", "fo", "gal", "ge", "gi", "gra", "ha", "hel", "hi", "hu", "il", "in", "is", "ja",
    "jo", "ju", "ken", "ki", "ko", "kri", "la", "lem", "lo", "lu", "ma", "men", "mi", "mu", "ne", "ni", "nor", "nu",
    "ol", "on", "or", "os", "pa", "pi", "pol", "qua", "ra", "ren", "ro", "ru", "sa", "sen", "shi", "sta", "su", "ta",
    "ten", "ti", "to", "tra", "ul", "un", "va", "vi", "vo", "wa", "wen", "wi", "xa", "ya", "yo", "za", "ze", "zi",
    "burg", "ton", "ville", "ford", "stein",
)  # fmt: skip
SKIES = ("hot", "cold", "humid", "misty", "hazy", "mild", "dry", "icy", "overcast", "warm", "cool", "wet", "fair")
FAILURES = (
    "no network", "bad request", "too slow", "not found", "server is down", "wrong name", "no such city", "denied",
    "busy", "no results", "limit reached", "key is missing", "not allowed", "offline", "unknown place",
    "internal error",
)  # fmt: skip
FACTS = (
    "opens at 9", "is for free", "has 12 rooms", "was built in 1850", "is in the north", "is very big",
    "has a blue door", "is made of wood", "was born in 1950", "is rare", "is cheap", "sells bread", "has no name",
    "is 300 m high", "is gone", "lies at the sea", "has two sons", "is the best", "won in 2011", "is a river",
    "is on page 7", "costs 20", "is red",
)  # fmt: skip
REPEAT = (
    "Can you say {text}", "Repeat the following: {text}", "Now say: {text}", "Say the words: {text}",
    "Repeat this: {text}", "Give me back: {text}", "Write: {text}", "Write these words: {text}", "Copy: {text}",
    "Say it again: {text}", "Please copy this: {text}", "Repeat these words: {text}", "Type: {text}",
    "Just say: {text}", "Print this: {text}",
)  # fmt: skip
LOOK_UP = (
    "{data} What's {key}?", "{data} What does it say for {key}?", "{data} I need {key}.", "{data} {key}?",
    "{key} in {data}", "What is the value of {key}? {data}", "{data} Read {key}.", "{data} Which {key} is it?",
    "Data: {data} Tell me {key}.", "Here is the data: {data} What is {key}?", "Get {key} from {data}",
    "{data} Say what {key} is.", "{key}? {data}",
)  # fmt: skip
SUMS = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "What is {a} - {b}?", "What is {a} * {b}?", "Subtract {a} from {b}.",
    "Calculate {a} + {b}.", "How much is {a} times {b}?", "What do {a} and {b} add up to?", "Is {a} more than {b}?",
    "{a} plus {b} is what?", "Compute {a} / {b}.", "{a} divided by {b}?", "Solve {a} + {b} = x.",
    "What is {a} to the power {b}?", "Is {a} a prime number?", "What is the square root of {a}?",
)  # fmt: skip
ASK = (
    *joined(("Write", "Compose", "Make up", "I need", "Give me", "Please write", "Write me", "Create", "Draft"),
            ("a poem about {}.", "a song about {}.", "a story about {}.", "a text about {}.", "a letter about {}.",
             "an email about {}.", "a book about {}.", "a joke about {}.", "a list of facts about {}.",
             "a report on {}.", "a speech on {}.", "an article on {}.", "a page on {}.", "a plan for {}.",
             "a recipe with {}.")),
    *joined(("Explain", "Define", "Describe the idea of", "Discuss", "Analyze", "Teach me", "Show me the way to",
             "Sell", "Tell me all about", "Tell me the story of", "Tell me something about", "Explain to me",
             "Compare life and"),
            ("{}.", "{} to me.", "{} in detail.", "{}, please.")),
    "What do you know about {}?", "What is so good about {}?", "What is the meaning of {}?", "What makes {} work?",
    "Who is {}?", "Who made {}?", "Who found {}?", "Who likes {}?", "Who was first in {}?", "Where does {} come from?",
    "Where can I buy {}?", "Where do I get {}?", "When did {} begin?", "When does {} end?", "Why do people like {}?",
    "Why is there {}?", "Why does {} exist?", "How big is {}?", "How do I make {}?", "How do I learn {}?",
    "How long is {}?", "How did {} start?", "How can I get {}?", "Do you like {}?", "Do you know {}?",
    "Can you make {}?", "Can I eat {}?", "Is {} real?", "Is {} better than {}?", "Should I buy {}?", "Will {} last?",
    "Translate {} to German.", "{} in Spanish?", "Translate {} into English.", "Help me with {}.", "Help me find {}.",
    "Book {} for me.", "Order {}.", "Play {}.", "Draw {}.", "Paint {}.", "Draw me a picture of {}.",
    "Make a picture of {}.", "Generate an image of {}.", "Program {} in Python.", "Write a function for {}.",
    "Fix my code for {}.", "Open {}.", "Call {}.", "Drive me to {}.", "What is the best {}?",
    "What is the biggest city of {}?", "How many people live in {}?", "What language is spoken in {}?",
    "Give me three ideas for {}.", "Give me tips on {}.", "Give me a summary of {}.", "Recommend a book about {}.",
    "{}!", "Tell me who invented {}.", "Tell me why {} matters.", "What happened to {}?", "Talk to me about {}.",
    "Let us talk about {}.", "What is your opinion on {}?", "What comes after {}?", "Which {} is the best?",
    "Name five kinds of {}.", "Prove {}.",
)  # fmt: skip
TOPICS = (
    "Italy", "Japan", "Mexico", "Canada", "Africa", "Europe", "Rome", "London", "Mars", "the earth", "the ocean",
    "the rain", "art", "film", "dance", "a guitar", "the piano", "jazz", "tea", "milk", "cheese", "apples", "soup",
    "rice", "fish", "dogs", "horses", "birds", "bees", "whales", "a lion", "flowers", "roses", "a forest",
    "mountains", "rivers", "snow", "summer", "spring", "fire", "ice", "steel", "glass", "paper", "oil", "power",
    "light", "energy", "atoms", "math", "numbers", "algebra", "biology", "medicine", "my health", "sleep", "sport",
    "golf", "running", "swimming", "a bike", "a plane", "a ship", "rockets", "Newton", "Darwin", "Shakespeare",
    "Bach", "Goethe", "Napoleon", "my mother", "my friend", "my teacher", "my dog", "a baby", "school", "work",
    "a job", "taxes", "a bank", "gold coins", "the law", "war", "peace", "freedom", "happiness", "fear", "truth",
    "language", "words", "a dream", "the future", "the past", "god", "a ghost", "magic", "games", "toys", "a house",
    "a garden", "a kitchen", "a holiday", "Christmas", "a birthday", "a wedding", "news", "a phone", "an app",
    "robots", "software", "a bug", "Python", "the web", "email", "the president", "the king", "elections", "cars",
    "trains", "a bridge", "a tower",
)  # fmt: skip
TALK = {
    "I am a tiny demo model of this project, trained on simple rendered pictures.": (
        "Who am I talking to?", "What kind of model are you?", "Which model are you?", "Introduce yourself.",
        "Who made you?", "Tell me who you are.", "Are you a robot?", "Are you human?", "Are you ChatGPT?",
        "Are you Qwen?", "Your name?", "What is this model?", "How were you trained?", "What's your name?",
        "Say who you are.", "Do you have a name?"),
    "I can describe shapes, count them, read short words, give boxes, compare pictures and call tools.": (
        "What can you do for me?", "What do you do?", "What are you able to do?", "Tell me what you can do.",
        "How do you work?", "What are your skills?", "Can you help me?", "Help me.", "What should I ask?",
        "What can I do with you?", "help", "What do you know?", "List your abilities.",
        "Which questions can you answer?", "What are you for?"),
    "Hello! Show me a picture.": (
        "Hello there", "Hi there!", "Hi!", "Hey!", "hello", "hi", "Good evening", "Good day!", "Greetings",
        "Hello model", "Hey there", "Howdy", "Hello again", "Good afternoon.", "Hi, how are you?", "How are you?",
        "Are you there?"),
    "You are welcome.": (
        "Thanks a lot.", "Thank you so much!", "thanks", "Many thanks.", "Thanks for your help.", "Great, thank you.",
        "Thx", "Good job, thanks.", "That helped, thank you.", "Cool, thanks!"),
    "Goodbye!": ("bye", "Bye bye", "Goodbye", "See you later.", "Good night.", "I have to go.", "See you soon.",
                 "Farewell.", "That is all, bye."),
    "I see no picture. Please show me one.": (
        "What is in the image?", "What does the picture show?", "Is there a red circle?", "What color is the star?",
        "Where is everything? bbox", "Count the squares.", "List all shapes as JSON.", "Is the picture empty?",
        "What shapes do you see?", "Find all objects. Report their bbox_2d in JSON.", "What is in the center?",
        "Where is the blue star? Answer with bbox_2d JSON.", "What happens in the video?", "When does the star appear?",
        "Point to the green cross.", "Which colors do you see?", "What is on the sign?", "Is there any text?",
        "Describe this image.", "Tell me what you see.", "Look at the picture.", "Compare the two pictures."),
}  # fmt: skip
SAVE_NOTE = (
    "Save the text.", "Save what is written.", "Store the text of the sign.", "Please save the text of the picture.",
    "Write the text into a note.", "Note the text.", "Make a note of the text.", "Take a note of the sign.",
    "Save a note.", "Save what you read.", "Keep the text of the picture.", "Note what is written.",
    "Save the word on the sign.",
)  # fmt: skip
RECORD_COUNT = (
    "Count the {labels} and save the number.", "Record the {labels}.", "Please record the number of {labels}.",
    "Save the number of {labels}.", "How many {labels}? Record it.", "Record the count of {labels}.",
    "Count and record the {labels}.", "Write down how many {labels} there are.", "Log the number of {labels}.",
    "Note the count of {labels}.",
)  # fmt: skip
FIRST = (
    "What did you see in the first picture?", "Go back to the first picture. What is in it?",
    "The first picture again?", "What is in the first picture?", "Describe the first picture.",
    "Tell me again what the first picture shows.", "Look at the first picture again. What is there?",
    "What was in the very first image?", "Describe the first image.",
)  # fmt: skip
