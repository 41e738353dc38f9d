"""Further wordings of the questions about pictures, for training alone: many and unlike, so that others are understood.

Each tuple belongs to the `Wordings` of the same name. Where a grammar fits, heads are put before tails.
"""

from __future__ import annotations

from itertools import product


def joined(heads: tuple[str, ...], tails: tuple[str, ...], between: str = " ") -> tuple[str, ...]:
    """Put every head before every tail."""
    return tuple(f"{head}{between}{tail}" for head, tail in product(heads, tails))


DESCRIBE = (
    "Describe the scene.", "Describe everything you see.", "Describe the contents.", "Describe the image in words.",
    "Give a description of the picture.", "I need a description of this picture.", "A description of the image.",
    "Tell me what is in the picture.", "Tell me what is in this image.", "Tell me what the picture shows.",
    "Tell me about the image.", "What can be seen in the picture?", "What do you notice?", "What is visible here?",
    "What's this?", "What's here?", "What's in this image?", "Look at the picture. What is in it?", "What is in it?",
    "Say what is in the image.", "Say what you see.", "Explain what you see.", "Which objects do you see?",
    "What things are in the picture?", "What objects are there?", "Caption this image.", "Write a caption.",
    "Give me a caption.", "In words, what is this picture?", "Talk about this picture.", "Picture description.",
    "What am I looking at?", "Give me details about the image.", "What does it show?", "What do we see here?",
    "I show you a picture. What is in it?", "Have a look. What is there?", "Give me a short description.",
)  # fmt: skip
READ = (
    "Read what is written.", "Read it to me.", "What are the letters?", "Which word is written here?",
    "Which letters do you see?", "What number is this?", "Tell me what the sign says.", "Tell me the text.",
    "Tell me the word on the sign.", "What's the text?", "What's written there?", "What does it read?",
    "Give me the text.", "Give me the text of the picture.", "Extract the text.", "OCR", "Do OCR.", "Spell the word.",
    "Which word do you see?", "Write down the text.", "Say what is written on the sign.", "Read the text out loud.",
    "Text?", "What is the word?", "I cannot read the sign. What does it say?", "What has been written?",
    "The sign says what?", "Which text is on the sign?", "Recognize the text.", "Read out the sign.",
    "Please read the image.", "What can you read?", "What does the image say?", "Look at the sign. What does it say?",
)  # fmt: skip
WHERE = (
    "Tell me where I can find the {}.", "Where's the {}?", "Show me where the {} is.", "Where lies the {}?",
    "In which part of the picture is the {}?", "Where in the image do you see the {}?", "Say where the {} is.",
    "Where has the {} been placed?", "What place is the {} in?", "Give me the place of the {}.",
    "Give the position of the {}.", "Which place does the {} have?", "I look for the {}. Where is it?",
    "The {}: where is it?", "Do you know where the {} is?", "On which side is the {}?", "Place of the {}?",
    "Where does the {} lie?", "I cannot find the {}. Where is it?", "Where would I find the {}?",
    "What is the place of the {}?", "Describe where the {} is.", "Name the place of the {}.", "Where do I find the {}?",
)  # fmt: skip
COMPARE = (
    "What changed between the first and the second picture?", "How does the second picture differ from the first?",
    "What is different between the first and the second image?", "How is the second picture different?",
    "What is new in the second picture?", "What happened between the two pictures?", "Which thing changed?",
    "Did anything change?", "Has anything changed?", "Are the two pictures the same?", "Are the pictures different?",
    "Name the difference.", "Show me the difference.", "Tell me the difference between these pictures.",
    "Say what is different.", "Explain the difference.", "What has been changed?", "What did they change?",
    "From picture one to picture two, what changed?", "What is different now?", "Before and after: what changed?",
    "Look at both images and tell me what changed.", "Compare both pictures.", "Difference?", "What changes?",
    "Compare the first picture with the second one.", "Compare these two images and name the difference.",
    "What is changed in the second image?", "Which change was made?", "I see two pictures. What changed?",
    "In what do the two images differ?", "What does the second picture have that the first does not have?",
    "What was changed in the first picture to get the second?", "Describe the change.", "Describe the difference.",
    "What differs between the first picture and the second picture?", "Is anything different?", "Differences?",
    "Give me the difference between the first and second picture.", "Find what changed.", "Report the change.",
    "From the first to the second image, what is different?", "What changed from before to after?",
    "What has changed from one picture to the other?", "Going from picture 1 to picture 2, what changes?",
    "The first picture became the second one. What changed?", "First picture, second picture: what changed?",
    "In the second picture something is different. What?", "What is not as it was in the first picture?",
    "Which thing is not the same in both?", "What is no longer the same?", "Is something not the same?",
    "Not the same?", "What is not equal in the two pictures?", "Are they the same?", "What do the pictures not share?",
)  # fmt: skip
ONE_DESCRIBED = (
    "Tell me what you see in the {nth} picture.", "What's in the {nth} picture?", "Describe the {nth} image.",
    "What is shown in the {nth} picture?", "Which objects are in the {nth} picture?", "What does the {nth} one show?",
    "Look at the {nth} picture. What is in it?", "Give me a description of the {nth} picture.", "The {nth} picture?",
    "Describe what is in the {nth} picture.", "Say what the {nth} picture shows.", "What is the {nth} picture about?",
)  # fmt: skip
ONE_COUNTED = (
    "How many things do you see in the {nth} picture?", "Count what is in the {nth} picture.",
    "How many objects does the {nth} picture have?", "Number of objects in the {nth} picture?",
    "Tell me how many objects are in the {nth} picture.", "How many shapes are in the {nth} picture?",
    "In the {nth} picture, how many objects are there?", "How many objects do you count in the {nth} image?",
)  # fmt: skip
HOW_MANY = (
    "What is the count of {many}?", "Count all {many} in the picture.", "Count how many {many} there are.",
    "{many}: how many?", "How many {many}?", "Say how many {many} you see.", "How many {many} can you see?",
    "How many {many} have been drawn?", "How many {many} are shown?", "How many {many} are here?",
    "I want to know how many {many} there are.", "Do you know how many {many} there are?", "Number of {many}?",
    "Tell me the number of {many}.", "Give me a count of the {many}.", "How many {many} does it have?",
    "Of {many}, how many are there?", "Please count the {many} for me.", "How many {many} are visible?",
    "Count {many}.", "How many {many} in this image?", "Give the number of {many}.", "The number of {many}, please.",
)  # fmt: skip
LETTERS = (
    "How many {many}?", "Number of {many}?", "Tell me how many {many} there are.", "Count {many}.", "Count all {many}.",
    "What is the number of {many}?", "How many {many} are written?", "How many {many} are in the text?",
    "How many {many} has the text?", "Give the number of {many}.", "Say how many {many} you see.",
    "How many {many} can you see?", "How many {many} does the sign have?", "How many {many} are here?",
)  # fmt: skip
ANYTHING = (
    "Is there something?", "Is something there?", "Do you see something?", "Can you see something?",
    "Is something to be seen here?", "Is there anything here?", "Does the image contain anything?",
    "Does it show anything?", "Is anything visible?", "Anything there?", "Something in it?", "Are there any objects?",
    "Is there at least one thing?", "Are there things in the picture?", "Is something drawn here?",
    "Has anything been drawn?", "Do you notice anything?", "Is something visible in this image?",
    "Tell me if you see anything.", "Tell me whether there is something in it.", "Is there a thing in the picture?",
    "Does this picture have something in it?", "Is there something on it?", "Does the image show something?",
    "Check if there is something in the picture.", "Is there one thing or more?", "Is something in this picture?",
)  # fmt: skip
EMPTY = (
    "Is it empty?", "Is it blank?", "Is there nothing in it?", "Is there nothing?", "Is there nothing here?",
    "Is nothing there?", "Nothing there?", "Is the image without anything?", "Is this an empty image?",
    "Is this a blank picture?", "Do you see nothing?", "Does the picture show nothing?", "The picture is empty, right?",
    "Tell me if the picture is empty.", "Tell me whether it is blank.", "Is there really nothing in the picture?",
    "Empty?", "Is nothing visible?", "Has nothing been drawn?", "Is the picture without objects?", "Nothing in it?",
    "Check if the image is empty.", "Is the picture all empty?", "Can you see nothing at all?",
)  # fmt: skip
IS_THERE = (
    "Is there {a} here?", "Is there {a} in it?", "Is {a} in the picture?", "Is {a} in this image?", "Can you spot {a}?",
    "Does it show {a}?", "Does the picture have {a}?", "Does this picture include {a}?", "Do you notice {a}?",
    "Is {a} visible?", "Can {a} be seen?", "Have you seen {a}?", "Are there {many}?", "Are there {many} in the image?",
    "Can you see any {many}?", "Does the picture show any {many}?", "Any {many}?", "Any {many} here?",
    "Tell me if there is {a}.", "Tell me whether you see {a}.", "Check if there is {a}.", "Yes or no: is there {a}?",
    "There is {a}, right?", "I think there is {a}. Is that so?", "Is there {a} or not?", "Look for {a}. Is it there?",
    "Does it contain {a}?", "Does this contain any {many}?", "Are {many} shown?", "Is there at least one of {many}?",
    "Does the image show {a}?", "Do you find {a}?", "Has it {a}?", "Does the drawing contain {a}?",
)  # fmt: skip
ANY_COLOUR = (
    "Is there something {colour}?", "Is anything {colour}?", "Do you see something {colour}?",
    "Can you see anything {colour}?", "Does it show anything {colour}?", "Anything {colour}?",
    "Is one of the things {colour}?", "Are there any {colour} things?", "Is any object {colour}?",
    "Is there any {colour} object?", "Are there {colour} objects?", "Is there anything {colour} in the image?",
    "Tell me if something is {colour}.", "Check whether anything is {colour}.", "Is there {colour} in the picture?",
    "Does the image contain something {colour}?", "Do you see {colour} anywhere?", "Is a thing {colour}?",
    "Is something {colour} to be seen?", "Does the picture have a {colour} thing?", "Are any objects {colour}?",
)  # fmt: skip
ANY_TEXT = (
    "Is there text?", "Is there text in it?", "Is there text in the image?", "Do you see text?", "Do you see a word?",
    "Do you see letters?", "Any text?", "Any text here?", "Is anything written?", "Is anything written in the picture?",
    "Does it contain any text?", "Does the image have text?", "Does this image contain a text?",
    "Does the picture show a text?", "Does the picture show any letters?", "Are there letters in the picture?",
    "Can I read something here?", "Is there a word to read?", "Is there a word?", "Is there writing in the picture?",
    "Has something been written?", "Tell me if there is text.", "Check if the image contains text.", "Any letters?",
    "Can you see any letters?", "Can text be seen?", "Is a text visible?", "Could I read anything here?",
    "Does it have letters?", "Is there something written to read?", "Is it a sign with text?", "Is text shown?",
)  # fmt: skip
IN_PLACE = (
    "Is the {name} really {place}?", "Is the {name} placed {place}?", "Can you see the {name} {place}?",
    "Does the {name} lie {place}?", "Is the place of the {name} {place}?", "The {name} {place}?",
    "I think the {name} is {place}. Is that right?", "The {name} is {place}. True or false?",
    "Check if the {name} is {place}.", "Tell me if the {name} is {place}.", "Yes or no: is the {name} {place}?",
    "Am I right that the {name} is {place}?", "Has the {name} been put {place}?",
    "Is it so that the {name} is {place}?", "Is the {name} to be found {place}?",
    "Is it right that the {name} is {place}?", "Isn't the {name} {place}?",
    "Is it correct that the {name} is {place}?", "Do you agree that the {name} is {place}?", "The {name} is {place}?",
)  # fmt: skip
COLOUR_OF = (
    "What is the {shape}'s color?", "What color has the {shape}?", "What color does the {shape} have?",
    "Which color has the {shape}?", "Give the color of the {shape}.", "Give me the color of the {shape}.",
    "Say the color of the {shape}.", "Color of the {shape}?", "The color of the {shape}?",
    "What is the color of that {shape}?", "Tell me which color the {shape} has.", "What is its color, the {shape}?",
    "Tell me what color the {shape} has.", "I want to know the color of the {shape}.", "{shape} color?",
    "Do you know the color of the {shape}?", "Look at the {shape}. What color is it?", "How is the {shape} colored?",
    "In what color is the {shape} drawn?", "In what color do you see the {shape}?", "The {shape} is what color?",
    "Which color did they give the {shape}?", "What color would you say the {shape} has?",
    "Describe the color of the {shape}.", "The {shape}: what color is it?",
    "Which of the colors does the {shape} have?",
)  # fmt: skip
SHAPE_OF = (
    "Which one is {colour}?", "What has the color {colour}?", "Which shape has the color {colour}?",
    "What is the shape of the {colour} thing?", "What shape does the {colour} object have?", "What is drawn {colour}?",
    "What {colour} shape do you see?", "Which {colour} shapes are there?", "What {colour} things do you see?",
    "Tell me what is {colour}.", "Tell me which shape is {colour}.", "Name what is {colour}.",
    "Name the {colour} object.", "Which shapes are {colour}?", "What things are {colour}?",
    "The {colour} thing is what?", "The {colour} object has which shape?", "What is colored {colour}?",
    "Find the {colour} shape and name it.", "Say which thing has the color {colour}.", "What do you see in {colour}?",
    "Identify the {colour} shape.", "Give the shape of the {colour} object.",
    "What sort of shape is the {colour} one?", "Which of the things are {colour}?",
)  # fmt: skip
AT_PLACE = (
    "What is there to see {place}?", "What stands {place}?", "What lies {place}?", "Which thing is {place}?",
    "What object is {place}?", "What shape is {place}?", "What is the object {place}?", "What is the shape {place}?",
    "Tell me what you see {place}.", "Say what is {place}.", "Describe what is {place}.", "What do you find {place}?",
    "What does the picture show {place}?", "What did they draw {place}?", "Look {place}. What is there?",
    "{place}: what do you see?", "Name the object {place}.", "Name what is {place}.", "Which shape do you see {place}?",
    "Identify the shape {place}.", "What has been drawn {place}?", "What's {place}?",
)  # fmt: skip
ALL_COLOURS = (
    "Which colors are there?", "What colors do you see?", "What colors can you see?", "What are the colors?",
    "Which colors does the picture have?", "Which colors are used?", "What colors are in the image?", "Colors?",
    "Tell me the colors.", "Give me the colors.", "Give me a list of the colors.", "List all colors.",
    "List the colors you see.", "Name all colors in the picture.", "All colors, please.", "Say which colors you see.",
    "In which colors are the objects?", "What colors have been used?", "Which different colors do you see?",
    "What are the colors of the objects?", "Tell me which colors there are.", "Name every color.",
)  # fmt: skip
ALL_SHAPES = (
    "Which shapes are there?", "What shapes do you see?", "What shapes can you see?", "What are the shapes?",
    "Which shapes does the picture have?", "What shapes are in the image?", "Tell me the shapes.", "Shapes?",
    "Give me the shapes.", "Give me a list of the shapes.", "List all shapes.", "List the shapes you see.",
    "Name all shapes in the picture.", "All shapes, please.", "What shapes have been drawn?", "Name every shape.",
    "Say which shapes you see.", "Which different shapes do you see?", "Tell me which shapes there are.",
)  # fmt: skip
_EVERY = (
    "Locate all objects.", "Find every object.", "Find everything in the picture.", "Detect every shape.",
    "Detect all things in the image.", "Where are all the shapes?", "Where are all objects?", "Where is each thing?",
    "Mark every shape.", "Look for all objects.", "Identify all objects.", "Locate each shape.", "Locate every thing.",
)  # fmt: skip
_BOXES = (
    "Answer with bbox_2d JSON.", "Give the bounding boxes as JSON.", "Report their bounding boxes.", "Return boxes.",
    "Output bbox_2d in JSON format.", "Boxes as JSON, please.", "Use bbox_2d and JSON.", "bbox", "JSON with bbox_2d.",
    "I need the bbox coordinates in JSON.",
)  # fmt: skip
_POINTS = (
    "Answer with point_2d JSON.", "Give a point for each as JSON.", "Report points.", "Points as JSON, please.",
    "Use point_2d and JSON.", "I need the point coordinates in JSON.", "Return points.", "Mark them with point_2d.",
)  # fmt: skip
ALL_BOXES = (
    *joined(_EVERY, _BOXES),
    *joined(
        ("Draw", "Give me", "I need", "Show me", "Put", "Output", "Return", "List", "Write", "Report", "Make"),
        ("a box around every object.", "a bounding box around each shape.", "a bbox for each shape in JSON.",
         "bounding boxes for all objects.", "the bounding box of every thing as JSON.", "the boxes of everything.",
         "all bounding boxes as JSON.", "bounding boxes of all shapes, in JSON.", "one bounding box per object."),
    ),
    "All boxes, please.", "Bounding boxes?", "Bounding boxes of all shapes.", "What are the bounding boxes?",
    "What are the bbox coordinates of all objects?", "Box all shapes.", "Box every object.", "Detect everything.",
    "Object detection, JSON", "Detect objects. Output JSON with bbox_2d and label.", "Detect all and box them.",
    "For every object, give the bounding box.", "For each shape, a bounding box, please.", "bbox of everything",
)  # fmt: skip
ALL_POINTS = (
    *joined(_EVERY, _POINTS),
    *joined(
        ("Put", "Give me", "I need", "Show me", "Return", "List", "Write", "Report", "Set"),
        ("a point on every object.", "a point for each shape in JSON.", "points for all objects.",
         "the point_2d of every thing as JSON.", "one point per object.", "points on everything."),
    ),
    "Point to all shapes.", "Point to every object.", "Point at everything.", "All points, please.",
    "What are the point coordinates of all objects?", "For every object, give a point.", "point_2d of everything",
)  # fmt: skip
ONE_POINT = (
    *joined(("Locate the {name}.", "Find the {name}.", "Where is the {name}?", "Mark the {name}.",
             "The {name}, please."),
            ("Answer with point_2d JSON.", "Give a point as JSON.", "Report a point.", "A point as JSON, please.",
             "Use point_2d.", "I need the point coordinates.", "Point to it.")),
    "Point at the {name}.", "Put a point on the {name}.", "Give me the point_2d of the {name}.", "Point: the {name}",
    "What are the point coordinates of the {name}?", "Return a point on the {name} in JSON.", "Click on the {name}.",
    "Show me a point on the {name}.", "Where do I click to hit the {name}?", "Set a point on the {name}.",
)  # fmt: skip
ONE_BOX = (
    *joined(("Locate the {name}.", "Find the {name}.", "Where is the {name}?", "Detect the {name}.", "Mark the {name}.",
             "Look for the {name}.", "The {name}, please."),
            ("Answer with bbox_2d JSON.", "Give the bounding box as JSON.", "Report the bounding box.", "bbox",
             "Output bbox_2d in JSON format.", "The box as JSON, please.", "Use bbox_2d and JSON.",
             "I need the bbox coordinates in JSON.", "Give me its box.", "Return its bbox.")),
    "Give me the bounding box of the {name}.", "Put a box around the {name}.", "Show me the box of the {name}.",
    "What is the bounding box of the {name}?", "What are the bbox coordinates of the {name}?", "Bbox of the {name}?",
    "Return the bbox_2d of the {name} as JSON.", "I need a bounding box around the {name}.",
    "Mark the {name} by a box.",
)  # fmt: skip
EVERY = (
    *joined(("Locate each {shape}.", "Find all of the {shape} kind.", "Detect every {shape}.", "Mark each {shape}."),
            ("Answer with bbox_2d JSON.", "Give the bounding boxes as JSON.", "Report bounding boxes.", "bbox",
             "Boxes as JSON, please.", "I need the bbox coordinates in JSON.")),
    "Give me the bounding box of each {shape}.", "Box every {shape}.", "Draw a box around each {shape}.",
    "Output the bbox_2d of every {shape} as JSON.", "Put a box around every {shape}.",
    "Return a bbox for each {shape}.",
)  # fmt: skip
CARE = (
    "{question} Be careful.", "Be careful: {question}", "{question} Look closely.", "Look closely. {question}",
    "{question} Check every place.", "Go through all places. {question}", "{question} Think hard.",
    "Think hard. {question}", "{question} Do not hurry.", "Think first. {question}", "{question} Be exact.",
    "{question} Go place by place.", "Step by step: {question}", "{question} Consider it well.",
    "Consider this well: {question}",
)  # fmt: skip
OTHER = (
    "Is this a cat?", "Is this a picture of a house?", "Is it a photo of an animal?", "Who took this photo?",
    "What animal is in the photo?", "What food is this?", "Which city is this?", "Which country is this?",
    "Who is this?", "Do you know this person?", "Who is shown here?", "What is the man doing?",
    "What is going on in the photo?", "Where is this?", "When was this taken?", "Is this a real photo?",
    "Which plant is this?", "What building is that?", "What brand is this?", "Describe the photo.",
    "Describe this photo.", "Do you recognize this?", "Is it a person?", "Can you recognize what this is?",
    "What kind of animal is that?", "Is there a person in the photo?", "Is it a dog?", "Is this a person?",
    "Are there people?", "What time of day is it here?", "Is this a photo of a tree?", "Is this a picture of a man?",
    "Is it a photo of food?", "What is this thing?", "What sort of photo is this?",
)  # fmt: skip
WHEN = (
    "At which second do you see the {} first?", "Which second does the {} appear in?", "When does the {} come?",
    "Tell me when the {} appears.", "Say at which second the {} appears.", "From when on is the {} there?",
    "When does the {} come into the video?", "The {}: when does it appear?", "When will the {} appear?",
    "Find the second at which the {} appears.", "How many seconds until the {} appears?", "When did the {} appear?",
    "Since when is the {} there?", "Give me the second in which the {} shows up.", "When is the {} added?",
    "At what point does the {} appear?", "When in the video does the {} appear?", "When can I see the {}?",
)  # fmt: skip
HAPPENS = (
    "What happens in this video?", "What is happening in the video?", "What happens in the clip?", "What changes?",
    "Describe the clip.", "Describe what happens.", "Describe this video.", "What does the video show?",
    "What is in the video?", "What changes in the video?", "Explain the video.", "Say what happens.", "What happened?",
    "What is new in the video?", "What appears in the video?", "Which thing appears?", "Does something appear?",
    "What is going on?", "What is going on in the video?", "Something appears. What is it?", "Summarize the video.",
    "What do you see in the video?", "What do you see in this clip?", "Give a description of the video.",
    "Give me a summary of the clip.", "Watch the video. What happens?", "What comes up in the clip?",
)  # fmt: skip
