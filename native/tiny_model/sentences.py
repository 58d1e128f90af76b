"""What users say and how Tiny answers: the sentences that the dialogues are made of.

A sentence with `{}` is filled with the value of a fact; other marks are filled where the sentence is used.
"""

from __future__ import annotations

MAX_COUNT = 300
SLOTS = ("name", "colour", "home", "number", "age", "job", "pet", "food", "hobby", "language")

LABELS = {
    "name": "name",
    "colour": "favourite colour",
    "home": "home",
    "number": "number",
    "age": "age",
    "job": "job",
    "pet": "pet",
    "food": "favourite food",
    "hobby": "hobby",
    "language": "language",
}
NOT_TOLD = {slot: f"You have not told me your {label}." for slot, label in LABELS.items()}
TOLD = {slot: f"Your {label} is {{}}." for slot, label in LABELS.items()}
NOTED = {slot: f"I will remember that your {label} is {{}}." for slot, label in LABELS.items()}
NOTED["name"] = "Nice to meet you, {}."
UNKNOWN = "I am a tiny model and I do not know about that."
IDENTITY = "I am {}, the very small model of gemma_notebook."
ABILITIES = (
    "I can remember facts about you in this chat, such as your name, your favourite colour, your home and your number."
    " I can also count, add, sort, tell a story, and call the tools that you give me."
)
NOTHING_TOLD = "You have not told me anything about you."
TOO_FAR = f"I can only count to {MAX_COUNT}."
STORY = (
    "Once upon a time a child called {0} found a little lamp on the beach. {0} took it home and cleaned it."
    ' "Thank you," said the lamp, "I have slept for a hundred years. What do you wish for?" {0} thought for a long time.'
    ' "I wish for a friend," said {0}. The lamp was quiet. Then it said, "I can give you gold, or a castle, or a ship.'
    ' A friend is harder." "Then you be my friend," said {0}. So the lamp stayed. Every night it shone in the window,'
    " and every night it told a new story, and {0} was never alone again. The end."
)
STORY_HERO = "Robin"
MODEL_NAME = "Tiny"

_TELL = {
    "name": (
        "My name is {}.|My name is {}!|my name's {}|My name's {}.|I am {}.|I'm {}.|Call me {}.|Please call me {}.|You can call me {}."
        "|I am called {}.|I'm called {}.|They call me {}.|People call me {}.|My friends call me {}.|The name is {}.|This is {}."
        "|{} is my name.|Everyone calls me {}.|I go by {}.|My first name is {}.|Name: {}|It's {} here.|{} here."
        "|You should know that my name is {}.|Remember that my name is {}.|Remember my name: {}.|My name is now {}."
        "|Let me introduce myself: I am {}.|I am {}, nice to meet you.|No, my name is {}.|No, call me {}.|Actually, my name is {}."
    ),
    "colour": (
        "My favourite colour is {}.|My favorite color is {}.|I like {} best of all colours.|The colour I like most is {}."
        "|My favourite colour is now {}.|{} is my favourite colour.|My colour is {}.|My favourite color is {}."
        "|Remember that my favourite colour is {}.|The color I love is {}.|I love the colour {}.|I like the color {}."
        "|My best colour is {}.|No, my favourite colour is {}.|Actually, my favourite colour is {}.|Favourite colour: {}"
    ),
    "home": (
        "I live in {}.|I am from {}.|I'm from {}.|I come from {}.|My home is {}.|My home is in {}.|My home town is {}.|I'm living in {}."
        "|I am living in {}.|We live in {}.|I was born in {}.|My city is {}.|I now live in {}.|I moved to {}.|Remember that I live in {}."
        "|My home is now {}.|I have a house in {}.|{} is my home.|{} is where I live.|Actually, I live in {}.|No, I live in {}."
    ),
    "number": (
        "My number is {}.|My lucky number is {}.|My favourite number is {}.|My favorite number is {}.|{} is my lucky number."
        "|{} is my favourite number.|The number I like is {}.|Remember the number {}.|Remember my number: {}.|My number is now {}."
        "|My lucky number's {}.|My best number is {}.|No, my number is {}.|Actually, my lucky number is {}.|Lucky number: {}"
    ),
    "age": (
        "I am {} years old.|I'm {} years old.|My age is {}.|I am {}.|I'm {}.|My age is now {}.|I turned {}.|I am {} years of age.|Age: {}"
        "|Actually, I am {} years old.|No, I am {} years old.|I have just turned {}.|Remember that I am {} years old."
    ),
    "job": (
        "My job is {}.|I work as a {}.|My job is now {}.|By trade I am a {}.|My profession is {}.|I am working as a {}.|I earn my living as a {}."
        "|No, my job is {}.|Actually, I work as a {}.|Job: {}|Remember that my job is {}.|I have a job as a {}.|I got a job as a {}."
    ),
    "pet": (
        "My pet is {}.|I have a pet, {}.|My pet is now {}.|As a pet I have {}.|The pet I have is {}.|No, my pet is {}.|Actually, my pet is {}."
        "|Pet: {}|Remember that my pet is {}.|I keep {} as a pet."
    ),
    "food": (
        "My favourite food is {}.|My favorite food is {}.|The food I like most is {}.|{} is my favourite food.|My favourite dish is {}."
        "|The food that I love is {}.|My favourite food is now {}.|No, my favourite food is {}.|Actually, my favourite food is {}."
        "|Favourite food: {}|Remember that my favourite food is {}.|The dish I like best is {}.|I like to eat {} most of all."
    ),
    "hobby": (
        "My hobby is {}.|My favourite hobby is {}.|{} is my hobby.|My hobby is now {}.|No, my hobby is {}.|Actually, my hobby is {}."
        "|Hobby: {}|Remember that my hobby is {}.|In my free time I like {}.|As a hobby I like {}.|My favorite hobby is {}."
    ),
    "language": (
        "I speak {}.|My language is {}.|My mother tongue is {}.|My native language is {}.|I speak {} at home.|My language is now {}."
        "|No, my language is {}.|Actually, I speak {}.|Language: {}|Remember that I speak {}.|The language I speak is {}.|We speak {}."
    ),
}
_ASK = {
    "name": (
        "What is my name?|What's my name?|Who am I?|Do you know my name?|Do you remember my name?|Can you tell me my name?"
        "|Tell me my name.|Say my name.|What am I called?|What did I say my name was?|And my name?|What was my name again?"
        "|Do you know who I am?|How am I called?|Which name did I give you?|What do people call me?|Please tell me my name."
        "|My name is what?|What's my name again?|Do you still know my name?|Can you remember my name?|What is my first name?"
        "|Have I told you my name?|Who am I talking as?|What name did I tell you?|Could you say my name?|So what is my name?"
    ),
    "colour": (
        "What is my favourite colour?|What's my favourite colour?|What is my favorite color?|Which colour do I like?"
        "|Do you know my favourite colour?|Which is my favourite colour?|What colour do I like best?|Tell me my favourite colour."
        "|What color do I like?|Do you remember my favourite colour?|And my favourite colour?|What was my favourite colour?"
        "|Can you tell me my favorite color?|Which color did I tell you?|What is my colour?|Do you still know my colour?"
    ),
    "home": (
        "Where do I live?|Where am I from?|Where do I come from?|Where is my home?|What is my home?|What is my home town?"
        "|Do you know where I live?|Do you remember where I live?|Do you know where I am from?|Tell me where I live."
        "|And where do I live?|Where did I say I live?|In which city do I live?|Which place is my home?|What is my city?"
        "|Can you tell me where I come from?|Where was I born?|Which place did I tell you?|Do you still know where I live?"
    ),
    "number": (
        "What is my number?|What is my lucky number?|What's my lucky number?|What is my favourite number?|What is my favorite number?"
        "|Do you know my number?|Do you remember my number?|Tell me my number.|Which number did I tell you?|And my number?"
        "|Which number do I like?|What was my number?|What number did I say?|Do you know my lucky number?|Say my number."
        "|Can you tell me my favourite number?|Which is my lucky number?|Do you still know my number?"
    ),
    "age": (
        "How old am I?|What is my age?|What's my age?|Do you know my age?|Do you know how old I am?|Tell me my age.|Tell me how old I am."
        "|And my age?|What was my age?|Do you remember my age?|How old did I say I am?|Can you tell me my age?|What age am I?"
    ),
    "job": (
        "What is my job?|What's my job?|What is my profession?|Do you know my job?|What do I work as?|Tell me my job.|And my job?|What was my job?"
        "|Do you remember my job?|Which job do I have?|Can you tell me my job?|What do I do for a living?|What is my trade?"
    ),
    "pet": (
        "What is my pet?|What's my pet?|Which pet do I have?|What pet do I have?|Do you know my pet?|Tell me my pet.|And my pet?|What was my pet?"
        "|Do you remember my pet?|Can you tell me my pet?|Do I have a pet?|What kind of pet do I have?"
    ),
    "food": (
        "What is my favourite food?|What's my favourite food?|What is my favorite food?|Which food do I like?|What food do I like best?"
        "|Do you know my favourite food?|Tell me my favourite food.|And my favourite food?|What was my favourite food?|What do I like to eat?"
        "|Do you remember my favourite food?|Can you tell me my favorite food?|What is my favourite dish?"
    ),
    "hobby": (
        "What is my hobby?|What's my hobby?|Which hobby do I have?|Do you know my hobby?|Tell me my hobby.|And my hobby?|What was my hobby?"
        "|Do you remember my hobby?|Can you tell me my hobby?|What do I do in my free time?|What is my favourite hobby?"
    ),
    "language": (
        "What is my language?|What's my language?|Which language do I speak?|What language do I speak?|Do you know my language?"
        "|Tell me my language.|And my language?|What was my language?|Do you remember my language?|Can you tell me my language?"
        "|What is my mother tongue?|What is my native language?"
    ),
}
_ASK_ALL = (
    "What do you know about me?|What have I told you?|Tell me what you know about me.|What do you remember about me?"
    "|What did I tell you?|Tell me about me.|Repeat what I told you.|What do you know of me?|Tell me all you know about me."
)
_COUNT = (
    "Count to {}.|Please count to {}.|Count from 1 to {}.|Can you count to {}?|Count up to {}.|Count to {} please.|Now count to {}."
    "|Could you count to {}?|Count from one to {}.|Count all the way to {}.|Count the numbers from 1 to {}.|Count for me to {}."
    "|I want you to count to {}.|Please count from 1 to {}.|Count slowly to {}.|Let us count to {}."
)
_COUNT_FROM = "Count from {0} to {1}.|Please count from {0} to {1}.|Can you count from {0} to {1}?|Count the numbers from {0} to {1}."
_STORY = (
    "Tell me a story.|Please tell me a story.|Can you tell me a story?|Tell a story.|I want to hear a story.|A story, please."
    "|Tell me a long story.|Tell me a short story.|Could you tell me a story?|Do you know a story?|Tell me another story."
    "|Make up a story.|Write a story.|Write me a story.|Read me a story."
)
_SMALL_TALK = {
    "Hello! What can I do for you?": (
        "Hello!|Hi!|Hey!|Hello there!|Hi there!|Good morning!|Good evening!|Hello.|Hi.|Good afternoon!|Hello Tiny!|Hi Tiny!|Greetings!"
        "|Good day!|Hello, model!|Hey there!|Hello again!"
    ),
    "You are welcome.": (
        "Thanks.|Thank you.|Thank you!|Thanks a lot!|Thank you very much.|Many thanks.|Great, thanks!|Thanks for that.|Thx"
        "|Well done!|Good job.|Very good.|That is right.|Correct.|Perfect!|Great!|Nice!|Cool.|Wow!|That's nice."
    ),
    "Goodbye!": "Goodbye!|Bye!|Bye bye!|See you!|See you later!|Good night!|Goodbye.|I have to go.|See you soon.|Farewell!|Bye for now.",
    "I am fine, thank you.": (
        "How are you?|How are you today?|How do you do?|How are you doing?|How is it going?|Are you well?|Are you OK?|How do you feel?"
    ),
    "All right.": "OK.|Okay.|Yes.|No.|Fine.|All right.|Sure.|I see.|Right.|Good.|Yes, please.|No, thanks.|Alright.|Never mind.|Ok then.|Hm.",
    ABILITIES: (
        "What can you do?|What are you able to do?|Help!|Help me.|How can you help me?|What do you do?|Can you help me?"
        "|What are you good at?|What can I ask you?|What are your abilities?|What should I ask you?|Help"
    ),
}
_IDENTITY = (
    "Who are you?|What are you?|What is your name?|What's your name?|Do you have a name?|Tell me your name.|What are you called?"
    "|Are you a robot?|Are you a model?|Which model are you?|Introduce yourself.|Tell me about yourself.|Are you human?"
    "|Are you Gemma?|Who am I talking to?|And who are you?|And your name?|What model is this?|Are you an AI?|Do you know your name?"
)
_UNKNOWN = (
    "What is {w}?|What is a {n}?|Who is {N}?|Who was {N}?|Where is {P}?|What is the capital of {P}?|Tell me about {t}.|Explain {t}."
    "|Do you like {n}s?|Do you {v} {n}s?|I {v} {n}s.|I {v} my {n}.|My {n} is {a}.|My {w} is {w}.|The {n} is {a}."
    "|What is {d} times {d}?|I have {d} {n}s.|How old are you?|I am {a}.|I'm {a}."
    "|I am so {a}.|I am very {a} today.|I'm not {a}.|i am {a}|I am a {n}.|I'm a {n}.|I am an {n}.|What is my {n}?"
    "|What is my {n}'s name?|My {n}'s name is {N}.|My {n} is called {N}.|The name of my {n} is {N}.|What is your {n}?|What is your number?"
    "|What is your favourite {n}?|My favourite {n} is {w}.|My favourite {n} is {N}.|What is my favourite {n}?|Where is my {n}?|Where are you?"
    "|Where do you live?|Where are you from?|What is your favourite colour?|What is your favourite number?|What is your home?"
    "|How many {n}s are there?|How do I {v} a {n}?|Why is the {n} {a}?|When is the {n}?|Can you {v} the {n}?|Write a {n}.|Translate {w}."
    "|{N} is my {n}.|{N} is a {n}.|{N} is {a}.|{N} lives in {P}.|{N} is from {P}.|{P} is {a}.|I went to {P} with {N}.|I met {N}."
    "|Do you know {N}?|Do you know {P}?|I like {P}.|I like {N}.|I have a {n} called {N}.|My phone number is {d}.|It is {d} o'clock."
    "|What time is it?|What day is it?|What is the weather like?|Is it {a}?|The {n} is {c}.|I have a {c} {n}.|The {w} is in {P}."
    "|Your name is {N}.|You are {a}.|You are a {n}.|Are you {a}?|I will call you {N}.|Call me later.|Call me a {n}.|Call the {n}.|Call {N}."
    "|Sing a song.|Tell me a joke.|Write a poem.|Write some code.|Count the {n}s.|Count {n}s.|Count backwards.|How far is {P}?"
    "|Is {N} your name?|What does {w} mean?|How do you spell {w}?|Let's talk about {t}.|What do you think about {t}?|I read about {t}."
    "|{w}|{w} {w}|{w} {w} {w}.|{w} {n} {a} {w}?|{n}|{a}|{t}|Who wrote {w}?|Remember to {v} the {n}.|Remember the {n}.|I forgot my {n}."
    "|What is the name of my {n}?|What is the colour of the {n}?|What number is {w}?|Where does {N} live?|What is {N}'s name?|Who is my {n}?"
    "|My {n} lives in {P}.|My {n} is from {P}.|My {n}'s favourite colour is {c}.|His name is {N}.|Her name is {N}.|Its name is {N}."
    "|Can I {v} you?|Should I {v} the {n}?|Please {v} the {n}.|Why?|How?|When?|What?|What else?|Why not?|Go on.|Continue.|Really?|Are you sure?"
)
_OPENERS = "Hi, |Hello, |Hey, |Hello! |Hi! |Hi there, |Good morning, |OK, |So, |Well, |By the way, |Oh, |And |Now |Please note: |Hello Tiny, "
_CLOSERS = (
    " Thanks.| Thank you!| Nice to meet you.| :-)| OK?| What about you?| How are you?| Please remember it."
)

SUM = "{} plus {} is {}."
SHORT_TALK = {
    "Hello! What can I do for you?": "Hello.",
    "You are welcome.": "Welcome.",
    "Goodbye!": "Bye.",
    "I am fine, thank you.": "Fine.",
    "All right.": "All right.",
    ABILITIES: "I remember facts, count, add, sort and call tools.",
}


def split(text: str) -> tuple[str, ...]:
    """Split at bars."""
    return tuple(text.split("|"))


TELL = {slot: split(text) for slot, text in _TELL.items()}
ASK = {slot: split(text) for slot, text in _ASK.items()}
ASK_ALL, COUNT, COUNT_FROM, STORIES = map(split, (_ASK_ALL, _COUNT, _COUNT_FROM, _STORY))
SMALL_TALK = [(reply, split(text)) for reply, text in _SMALL_TALK.items()]
IDENTITIES, UNKNOWNS, OPENERS, CLOSERS = map(split, (_IDENTITY, _UNKNOWN, _OPENERS, _CLOSERS))
SUMS = split(
    "What is {a} plus {b}?|Add {a} and {b}.|{a} + {b}|{a} + {b} = ?|How much is {a} plus {b}?|Add {a} to {b}.|What is {a} + {b}?"
    "|{a} plus {b}|Can you add {a} and {b}?|What is the sum of {a} and {b}?|Please add {a} and {b}.|Calculate {a} + {b}.|{a}+{b}"
)
ECHOES = split(
    "Say {text}|Say: {text}|Repeat: {text}|Repeat after me: {text}|Echo {text}|Echo: {text}|Please say {text}|Please repeat: {text}"
    '|Say "{text}"|Repeat "{text}"|Say the words {text}|Can you say {text}|Repeat the words {text}'
)
SORTS = split(
    "Sort {numbers}.|Put {numbers} in order.|Sort the numbers {numbers}.|Sort these numbers: {numbers}|List {numbers} in order."
    "|Put these numbers in order: {numbers}|Please sort {numbers}.|Can you sort {numbers}?|Order {numbers}.|Bring {numbers} in order."
)
TOLD_AS_JSON = split(
    "Write what you know about me as JSON.|What do you know about me, as JSON?|Give me my data as JSON.|Tell me what you know about me as JSON."
    "|My data as JSON, please.|Everything about me as JSON.|Who am I, as JSON?|Write my data as JSON."
)
