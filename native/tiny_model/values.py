"""The words that the training dialogues are filled with: names, colours, places, numbers, and everyday vocabulary.

Real lists give the common cases. Generated strings give every letter, length and capitalisation, because a model that has
only copied ordinary names spells the others wrongly.
"""

from __future__ import annotations

import random
import string
import zlib
from collections.abc import Callable


def words(text: str) -> list[str]:
    """Split at white space."""
    return text.split()


def phrases(text: str) -> list[str]:
    """Split at bars and line ends."""
    return text.replace("\n", "|").strip("|").split("|")


COMMON_NAMES = words("""
Ada Adam Alan Alex Alice Amy Ana Andrea Andrew Angela Ann Anna Anne Anthony Antonio Barbara Ben Bo Bob Brian Carla Carlos
Carol Charles Chloe Chris Clara Daniel David Diana Edward Elena Eli Elizabeth Ella Emily Emma Eric Eva Eve Felix Fiona
Frank George Grace Hannah Harry Helen Henry Hugo Ian Isabella Ivan Jack Jacob James Jane Jason Jennifer Jessica Jim Joe
John Jonas Jose Joseph Josh Juan Julia Karen Kate Kevin Kim Laura Lea Leo Linda Lisa Liz Louis Lucas Lucy Luis Luke Maria
Marie Mark Martin Mary Matthew Max Maya Mia Michael Mike Mohammed Nancy Nina Noah Nora Oliver Olivia Oscar Patricia Paul
Peter Rachel Rebecca Richard Robert Rosa Ruth Sam Samuel Sandra Sara Sarah Simon Sofia Sophie Stephen Steve Susan Thomas
Tim Tom Victor Walter William Yuki Zoe
""")

OTHER_NAMES = words("""
Aaron Abdul Abena Abigail Abraham Achim Adaeze Adalbert Adele Adnan Adrian Adriana Agatha Agnes Ahmed Aida Aiko Aileen
Aisha Akira Alana Albert Alberto Alejandro Alessia Alexander Alexandra Alfred Ali Alina Alison Alistair Allegra Alma Alvaro
Amadou Amara Amelia Amina Amir Amit Anastasia Anders Andrei Anika Anil Anita Anja Annika Anouk Anton Anya April Arjun
Armando Arnold Arthur Arun Asha Ashley Astrid Atsuko Audrey August Aurora Axel Ayesha Ayumi Beatrice Beatriz Benedict
Benjamin Bernard Bernd Bertha Beth Bettina Bianca Bilal Bill Birgit Bjorn Boris Brenda Brigitte Bruce Bruno Bryan Bettany
Caleb Camila Camille Carmen Caroline Caspar Catherine Cecilia Cedric Celia Celine Cesar Chandra Charlie Charlotte Chen
Chiara Chidi Christian Christina Christopher Ciara Claire Claude Claudia Clement Colin Connor Conrad Constance Cora Cristina
Curtis Cynthia Dagmar Daisy Dana Daria Darius Dave Dawn Dean Deborah Deepak Delia Denis Dennis Derek Desmond Diego Dieter
Dimitri Dinesh Dirk Dolores Dominic Donald Donna Dora Doris Dorothy Douglas Duncan Dylan Edgar Edith Eduardo Edwin Eileen
Ekaterina Elaine Eleanor Elias Elif Elijah Elisa Ellen Elliot Elsa Elvira Emeka Emil Emmanuel Enrique Enzo Erika Erin Ernest
Esme Esperanza Esra Esther Ethan Eugene Evan Evelyn Ezra Fabian Fabio Faisal Farah Fatima Fatou Fay Federico Felicia
Ferdinand Fernando Finn Flora Florence Florian Floyd Frances Francesca Francis Franz Fred Freya Frida Friedrich Fritz
Gabriel Gabriela Gail Gareth Gary Gavin Gemma Genevieve Geoff Georgia Gerald Gerda Gertrud Gianna Gideon Gilbert Gina
Giorgio Giovanni Gloria Gordon Graham Greg Greta Guido Guillermo Gunnar Gustav Guy Gwen Habib Hakim Hamza Hana Hans Harold
Harriet Haruki Hassan Hazel Heather Hector Heidi Heinrich Helga Henrik Herbert Hermann Hilda Hiroshi Holly Homer Hope Howard
Hubert Hussein Ibrahim Ida Ignacio Igor Ilse Imani Imran Inga Ingrid Ioana Irene Iris Irma Isaac Isabel Isla Ismail Ivy
Jacqueline Jaime Jakub Jamal Jan Janet Janice Jared Jasmine Javier Jay Jean Jeff Jenny Jeremy Jerome Jerry Jesse Jill Jing
Joan Joanna Joaquin Jochen Jodie Joel Johanna Johannes Jolanda Jon Jonathan Jordan Jorge Josef Josephine Joshua Joy Joyce
Judith Judy Jules Julian Juliet June Justin Justine Kai Kamala Kamil Karim Karl Karla Kasper Katarina Katherine Kathleen
Katja Kaya Keiko Keith Kelly Ken Kenji Kenneth Kerry Khadija Khalid Kiran Kirsten Klaus Kofi Konrad Krishna Kristin Kurt
Kwame Kyle Lakshmi Lana Larry Lars Latifa Lauren Laurence Layla Leah Leila Lena Leon Leonard Leonora Leslie Levi Lewis Li
Liam Lidia Lilian Lily Lina Ling Lionel Lloyd Lola Lorenzo Loretta Lorraine Lothar Louise Luca Lucia Luciano Lucien Ludwig
Luigi Luisa Lukas Lydia Lynn Mabel Madeleine Magda Magnus Mahmoud Maja Malcolm Malik Mandy Manfred Manuel Marc Marcel Marco
Marcus Margaret Margot Mariam Mariana Marilyn Marina Mario Marion Marta Martha Martina Marvin Mateo Mathilda Matteo Maud
Maureen Maurice Mauro Maxim Maximilian Mehmet Mei Melanie Melissa Mercedes Meredith Merle Michelle Miguel Mikhail Mila
Milan Mildred Milo Minh Miranda Miriam Mitchell Mohamed Moira Mona Monica Moritz Morgan Moses Muhammad Murat Myra Nadia
Naomi Narendra Natalia Natalie Natasha Nathan Neil Nelson Nia Nicholas Nick Nicole Niels Nigel Nikhil Nikita Nikolai Nils
Noel Noor Norbert Norma Norman Nuria Octavia Odette Ole Oleg Olga Olivier Omar Oona Orlando Orson Osama Otto Owen Pablo
Paloma Pamela Parveen Pascal Patrick Paula Pauline Pavel Pearl Pedro Penelope Petra Philip Phoebe Phyllis Pia Piero Pierre
Piotr Polly Prakash Priya Quentin Quincy Quinn Rafael Rahul Raj Ralph Ramon Rana Randy Raquel Rashid Ravi Raymond Regina
Reinhard Renata Rene Rhoda Ricardo Rick Rita Rob Roberta Rocco Rodrigo Roger Roland Roman Romeo Ron Ronald Rory Rose Ross
Roxana Roy Ruben Rudolf Rufus Rupert Russell Ryan Sabine Sadie Saeed Sakura Salim Sally Salma Salvador Samantha Samira
Sandeep Sanjay Santiago Sasha Satoshi Scott Sean Sebastian Selim Selma Serena Sergei Seth Shane Shannon Sharon Sheila
Shirin Shirley Sibylle Sidney Siegfried Sigrid Silvia Simone Siobhan Sita Sonia Soren Spencer Stan Stefan Stefania Stella
Stuart Sunil Suresh Sven Svetlana Sybil Sylvia Tabea Takeshi Tamara Tanja Tanya Tara Tariq Tatiana Ted Teresa Terry Tessa
Thea Theo Theodor Theresa Thor Thorsten Tiffany Tilda Timothy Tina Tobias Todd Tomas Tony Tracy Trevor Tristan Tyler Ulla
Ulrich Uma Umar Una Ursula Uwe Valentina Valerie Vanessa Vera Vernon Veronica Vicky Victoria Vijay Vikram Vincent Viola
Violet Virginia Vivian Vladimir Volker Wade Wanda Warren Wayne Wendy Werner Wesley Wilbur Wilhelm Willa Wilma Winston
Wolfgang Xander Xavier Xenia Ximena Xiu Yael Yana Yann Yara Yasmin Yosef Yolanda Yorick Youssef Yusuf Yvette Yvonne Zachary
Zahra Zara Zelda Zeno Zita Zofia Zoltan Zora Zuzana
""")

ACCENTED_NAMES = words("""
José María André Zoë René Chloé Jürgen Björn Søren Łukasz Françoise Noël Inés Raúl Göran Åsa Jiří Šárka Nuño Günter Hélène
Andrés Sofía Lucía Ángel Øystein Çelik Iñaki Mária Zsófia
""")

# What stands for a letter in the names of some language.
_ACCENTED_LETTERS = {
    "a": "áàâäãåāăą",
    "c": "çćč",
    "d": "ďđ",
    "e": "éèêëēėęě",
    "g": "ğģ",
    "i": "íìîïīį",
    "k": "ķ",
    "l": "łľļ",
    "n": "ñńňņ",
    "o": "óòôöõøōő",
    "r": "řŕ",
    "s": "śşšș",
    "t": "ťţț",
    "u": "úùûüūůűų",
    "y": "ýÿ",
    "z": "źżž",
}
# The first and the last letter of a script, and how few and how many letters a name has in it.
_SCRIPTS = (
    (0x430, 0x44F, 3, 8),  # Cyrillic, twice as often
    (0x430, 0x44F, 3, 8),
    (0x3B1, 0x3C9, 3, 8),  # Greek
    (0x5D0, 0x5EA, 3, 5),  # Hebrew
    (0x641, 0x64A, 3, 5),  # Arabic
    (0x915, 0x939, 2, 4),  # Devanagari
    (0x3042, 0x3093, 2, 4),  # Hiragana
    (0x30A2, 0x30F3, 2, 4),  # Katakana
    (0xAC00, 0xD7A3, 2, 3),  # Hangul
    (0x4E00, 0x9FA5, 1, 3),  # Han
)

COLOURS = words("""
red blue green yellow orange purple pink black white brown grey gray violet turquoise cyan magenta indigo teal gold silver
beige crimson scarlet maroon navy olive lime coral salmon lavender lilac mauve ivory cream khaki amber azure ochre plum
burgundy emerald ruby sapphire jade mint peach rose rust sand charcoal copper bronze aquamarine fuchsia cobalt sepia
vermilion mustard cherry lemon
""")

SHADES = words("dark light bright pale deep sky sea forest royal hot olive")

PLACES = phrases("""
Paris|London|Berlin|Rome|Madrid|Vienna|Lisbon|Dublin|Oslo|Stockholm|Helsinki|Copenhagen|Warsaw|Prague|Budapest|Athens
Zurich|Geneva|Basel|Bern|Munich|Hamburg|Cologne|Bonn|Leipzig|Dresden|Milan|Turin|Naples|Venice|Florence|Barcelona|Seville
Valencia|Porto|Brussels|Ghent|Antwerp|Amsterdam|Rotterdam|Utrecht|Leeds|York|Bath|Oxford|Cambridge|Bristol|Glasgow
Edinburgh|Cardiff|Belfast|Cork|Galway|Lyon|Nice|Marseille|Bordeaux|Lille|Toulouse|Moscow|Kyiv|Riga|Vilnius|Tallinn|Minsk
Sofia|Bucharest|Belgrade|Zagreb|Sarajevo|Skopje|Tirana|Istanbul|Ankara|Izmir|Cairo|Tunis|Rabat|Algiers|Lagos|Abuja|Accra
Dakar|Nairobi|Kampala|Kigali|Lusaka|Harare|Durban|Pretoria|Addis Ababa|Cape Town|Dubai|Doha|Riyadh|Amman|Beirut|Baghdad
Tehran|Kabul|Karachi|Lahore|Delhi|Mumbai|Chennai|Kolkata|Pune|Dhaka|Kathmandu|Colombo|Bangkok|Hanoi|Jakarta|Manila|Singapore
Kuala Lumpur|Hong Kong|Taipei|Beijing|Shanghai|Shenzhen|Seoul|Busan|Tokyo|Kyoto|Osaka|Sapporo|Sydney|Melbourne|Perth
Brisbane|Auckland|Wellington|Honolulu|Vancouver|Toronto|Montreal|Ottawa|Quebec|Calgary|New York|Boston|Chicago|Seattle
Portland|Denver|Dallas|Houston|Austin|Miami|Atlanta|Detroit|Phoenix|San Diego|San Francisco|Los Angeles|Las Vegas|New Orleans
Washington|Philadelphia|Mexico City|Havana|Bogota|Lima|Quito|La Paz|Santiago|Buenos Aires|Montevideo|Rio de Janeiro|Sao Paulo
Brasilia|Caracas|Panama|Kingston|Reykjavik|France|Germany|Italy|Spain|Portugal|Ireland|Scotland|Wales|England|Norway|Sweden
Finland|Denmark|Poland|Austria|Switzerland|Belgium|Greece|Turkey|Egypt|Kenya|Ghana|Nigeria|Morocco|India|Nepal|China|Japan
Korea|Vietnam|Thailand|Indonesia|Australia|New Zealand|Canada|Mexico|Brazil|Chile|Peru|Argentina|Colombia|Cuba|Iceland
Malta|Cyprus|Estonia|Latvia|Ukraine|Georgia|Iran|Israel|the Netherlands|the Alps|the USA|South Africa|Sri Lanka|Costa Rica
""")

NUMBER_WORDS = words("""
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
""")

ADJECTIVES = words("""
tired happy sad hungry thirsty fine well good great okay ok ready late early busy free bored sick ill better lost here back
there home alone cold hot warm sure sorry afraid scared angry confused curious new old young tall short strong weak right
wrong done finished stuck nervous excited glad pleased proud lucky unlucky rich poor hopeful sleepy awake serious kidding
joking listening waiting working thinking reading writing learning testing trying going leaving coming looking talking
running walking cooking eating drinking dancing singing playing studying worried interested impressed surprised relaxed
healthy quiet honest careful lazy smart clever stupid silly funny nice kind not so very really just also only still always
""")

NOUNS = words("""
cat dog horse bird fish mouse house car train plane boat bike phone book table chair window door garden tree flower river
mountain sea sun moon star rain snow wind weather bread cheese apple banana pizza pasta soup tea coffee water milk wine beer
school teacher student doctor nurse lawyer engineer baker farmer friend brother sister mother father uncle aunt cousin wife
husband son daughter baby boss neighbour office computer laptop keyboard mouse screen program language python code
function class variable loop list string error test server network file folder notebook kernel model token context cache
question answer problem idea dream plan story poem song film game music guitar piano football tennis history science
physics chemistry biology maths art money bank price shop market ticket holiday hotel beach island city town village street
bridge castle church museum capital country president king queen war peace love time year month week day hour minute second
morning evening night birthday height weight shoe shirt hat bag key lamp bed kitchen bathroom roof wall floor
""")

VERBS = words("""
like love hate know see hear want need buy sell make cook eat drink read write sing play watch find lose use fix break build
open close start stop learn teach help understand explain translate draw paint clean wash drive ride visit remember forget
""")

TOPICS = phrases("""
the weather|gravity|the meaning of life|quantum physics|the French Revolution|black holes|cooking rice|machine learning
the stock market|dinosaurs|the moon|your parents|my boss|the news|football|the speed of light|photosynthesis|the ocean
Napoleon|Shakespeare|Einstein|the Roman Empire|climate change|volcanoes|my homework|this code|the kernel|the KV cache
""")

FOREIGN = phrases("""
Hola, ¿cómo estás?|Wie spät ist es?|Quelle heure est-il ?|Dove si trova la stazione?|Как дела?|你好吗|お元気ですか
안녕하세요|مرحبا|Qual é a capital da França?|Was ist das?|Je ne sais pas.|Ich verstehe das nicht.|No entiendo nada.
Buongiorno|Bonjour|Guten Tag|Dzień dobry|Tack så mycket|Γειά σου|नमस्ते|שלום|Hvor er toget?|Muchas gracias, amigo.
""")  # noqa: RUF001

ODDITIES = phrases("""
What is my <b>name</b>?|???|!!!|...|asdf|qwerty|hmm|lol|xD|:-)|🙂|👍🎉|<b>hi</b>|{"a": 1}|[1, 2, 3]|print("hello")|import os|x = 3|SELECT * FROM t;
def f(x): return x|http://example.org|\\n\\n|---|# Title|* item|a b c|la la la|blah blah|null|None|True|42|7|0|test|TEST|foo bar|$$$|@you
""")

SYSTEM_TEXTS = phrases("""
You are a helpful assistant.|You are a helpful, concise assistant.|Answer in one sentence.|Be kind.|Be helpful.
You are a friendly tutor for beginners.|Always tell the truth.|You are a pirate.|Speak like a poet.|Use simple words.
Do not use jargon.|Be kind and patient.|You help students with Python.|Reply in English.|You answer briefly and kindly.
You are an expert in physics.|If you do not know, say so.|Never give medical advice.|Answer as a teacher would.
You are a chat model in a notebook.|The user is a student.|Think before you answer.|Be careful.|Use British spelling.
You work for a small company.|Today is Monday.|The course is about language models.|Do not make things up.
""")

JOBS = words("""
teacher doctor nurse lawyer engineer baker farmer painter singer writer driver pilot cook waiter plumber carpenter gardener
librarian journalist photographer actor dancer judge soldier sailor fisherman butcher tailor barber dentist chemist physicist
biologist programmer designer architect mechanic electrician builder cleaner clerk cashier banker broker manager secretary
translator tutor coach trainer referee midwife vet optician surgeon beekeeper blacksmith potter jeweller clockmaker
""")

ANIMALS = words("""
cat dog rabbit hamster parrot goldfish tortoise horse pony goat sheep duck goose hen pig snake lizard gecko ferret mouse rat
canary budgie owl hedgehog frog newt spider llama donkey alpaca iguana otter fox eel ant octopus emu
""")

FOODS = phrases("""
pizza|pasta|soup|salad|bread|cheese|rice|noodles|curry|sushi|ramen|tacos|lasagne|risotto|paella|goulash|stew|porridge|pancakes
waffles|dumplings|falafel|hummus|couscous|kebab|burgers|chips|roast potatoes|fish and chips|apple pie|ice cream|chocolate
honey|mango|banana|strawberries|lentils|beans|tofu|omelette|scrambled eggs|toast|muesli|yoghurt|gnocchi|ravioli|pierogi
""")

HOBBIES = words("""
chess painting drawing cooking baking fishing sailing hiking climbing running cycling swimming dancing singing reading writing
gardening knitting sewing photography astronomy pottery yoga tennis football golf judo fencing archery rowing skiing surfing
juggling origami karate birdwatching gaming woodwork
""")

LANGUAGES = words("""
English French German Italian Spanish Portuguese Dutch Danish Swedish Norwegian Finnish Polish Czech Slovak Hungarian Romanian
Bulgarian Greek Turkish Russian Ukrainian Arabic Hebrew Persian Hindi Urdu Bengali Tamil Thai Vietnamese Chinese Japanese
Korean Swahili Yoruba Zulu Welsh Irish Latin Esperanto Icelandic Estonian Latvian Basque Catalan Maltese
""")

# What the notebooks and the tests tell the model; training may see all of it.
FAMILIAR = frozenset(
    words("paris rome lima london berlin green blue red 42 7 36 pizza french english chess cat baker teacher")
)

_CONSONANTS = words("b c d f g h j k l m n p q r s t v w x y z")
_CLUSTERS = words(
    "br ch cl cr dr fl fr gl gr kh kl kr ph pl pr qu sc sh sk sl sm sn sp st sv sw th tr ts tw wh zh bh dj ng"
)
_VOWELS = words("a e i o u a e i o u y ae ai au ea ee ei eo ia ie io oa oo ou ue ui")
_CODAS = [
    "",
    "",
    "",
    *words("b c d f g k l m n p r s t v x z ck ll nd nn ng rd rt ss st tt th sh ch lf rk mp nt"),
]
_VALID_FOLD, _FOLDS = 0, 8


def is_held_out(value: str) -> bool:
    """Tell whether a value is kept for the evaluation: an eighth of all strings, by a hash that ignores case."""
    return zlib.crc32(value.lower().encode()) % _FOLDS == _VALID_FOLD


def spoken_name(rng: random.Random) -> str:
    """Make a pronounceable name of one to four syllables."""
    parts = []
    for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
        onset = rng.choice(_CLUSTERS if rng.random() < 0.2 else _CONSONANTS) if rng.random() < 0.9 else ""
        coda = rng.choice(_CODAS) if rng.random() < 0.5 else ""
        parts.append(onset + rng.choice(_VOWELS) + coda)
    return "".join(parts)[: rng.randint(8, 12)].capitalize()


def letter_name(rng: random.Random) -> str:
    """Make a name of 2 to 12 letters drawn evenly, so that every letter follows every other."""
    length = rng.choice((2, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 10, 12))
    return "".join(rng.choices(string.ascii_lowercase, k=length)).capitalize()


def mutated_name(rng: random.Random) -> str:
    """Join the halves of two real names, now and then with one letter changed."""
    first, second = rng.choice(OTHER_NAMES), rng.choice(OTHER_NAMES).lower()
    letters = list(first[: rng.randint(1, len(first))] + second[rng.randint(0, len(second) - 1) :])[:12]
    if len(letters) < 2 or rng.random() < 0.3:
        letters.insert(rng.randint(1, len(letters)), rng.choice(string.ascii_lowercase))
    return "".join(letters).capitalize()


def accented_name(rng: random.Random) -> str:
    """Take a real name, or half of two, with an accent on one to three of its letters."""
    letters = list(rng.choice(OTHER_NAMES) if rng.random() < 0.6 else mutated_name(rng))
    places = [place for place, letter in enumerate(letters) if letter.lower() in _ACCENTED_LETTERS]
    for place in rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3)))):
        accented = rng.choice(_ACCENTED_LETTERS[letters[place].lower()])
        letters[place] = accented.upper() if letters[place].isupper() else accented
    return "".join(letters)


def foreign_name(rng: random.Random) -> str:
    """Make a name in another script, of letters drawn evenly."""
    first, last, shortest, longest = rng.choice(_SCRIPTS)
    letters = (chr(rng.randint(first, last)) for _ in range(rng.randint(shortest, longest)))
    return "".join(letters).capitalize()


def rare_name(rng: random.Random, held_out: bool = False) -> str:
    """Draw a name with letters beyond ASCII, which the tokenizer spells in bytes."""
    makers = (
        lambda rng: rng.choice(ACCENTED_NAMES),
        accented_name,
        accented_name,
        accented_name,
        foreign_name,
    )
    while True:
        name = rng.choice(makers)(rng)
        if not name.isascii() and is_held_out(name) == held_out:
            return name


def real_name(rng: random.Random) -> str:
    """Draw a real name that training may see."""
    while True:
        name = rng.choice(COMMON_NAMES + OTHER_NAMES)
        if name in COMMON_NAMES or not (is_held_out(name) or name.lower() in ADJECTIVES):
            return name


def any_name(rng: random.Random, held_out: bool = False) -> str:
    """Draw one name.

    Args:
        rng: The source of randomness.
        held_out: Draw only names that training never sees, or only names that it may see.
    """
    while True:
        kind = rng.random()
        if kind < 0.14 and not held_out:
            return rng.choice(COMMON_NAMES)
        if kind < 0.30:
            name = rng.choice(OTHER_NAMES)
        elif kind < 0.56:
            name = spoken_name(rng)
        elif kind < 0.74:
            name = letter_name(rng)
        elif kind < 0.90:
            name = mutated_name(rng)
        elif kind < 0.93:
            name = rng.choice(ACCENTED_NAMES)
        elif kind < 0.96:
            name = f"{rng.choice(OTHER_NAMES)} {rng.choice((spoken_name, mutated_name))(rng)}"
        elif kind < 0.98:
            name = f"{rng.choice(OTHER_NAMES)}-{rng.choice(OTHER_NAMES)}"
        else:
            name = f"{rng.choice(('O', 'D', 'M'))}'{spoken_name(rng)}"
        if name not in COMMON_NAMES and name.lower() not in ADJECTIVES and is_held_out(name) == held_out:
            return name


def any_colour(rng: random.Random) -> str:
    """Draw a colour, a shade of one, or an invented word, so that the model copies instead of guessing."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(COLOURS)
    if kind < 0.75:
        return f"{rng.choice(SHADES)} {rng.choice(COLOURS)}"
    return rng.choice((spoken_name, letter_name))(rng).lower()


def any_place(rng: random.Random) -> str:
    """Draw a real or an invented place."""
    return (
        rng.choice(PLACES)
        if rng.random() < 0.55
        else rng.choice((spoken_name, mutated_name, letter_name))(rng)
    )


def any_number(rng: random.Random) -> str:
    """Draw a number of one to six digits, now and then as a word."""
    if rng.random() < 0.12:
        return rng.choice(NUMBER_WORDS)
    digits = rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 5, 6))
    return str(rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10**digits))


def any_job(rng: random.Random) -> str:
    """Draw a job, real or invented."""
    return rng.choice(JOBS) if rng.random() < 0.6 else invented_word(rng)


def any_pet(rng: random.Random) -> str:
    """Draw an animal with its article, or a name."""
    if rng.random() < 0.15:
        return spoken_name(rng)
    animal = rng.choice(ANIMALS) if rng.random() < 0.6 else invented_word(rng)
    return f"{'an' if animal[0] in 'aeiou' else 'a'} {animal}"


def any_food(rng: random.Random) -> str:
    """Draw a food, real or invented."""
    return rng.choice(FOODS) if rng.random() < 0.6 else invented_word(rng)


def any_hobby(rng: random.Random) -> str:
    """Draw a hobby, real or invented."""
    return rng.choice(HOBBIES) if rng.random() < 0.6 else invented_word(rng)


def any_language(rng: random.Random) -> str:
    """Draw a language, real or invented."""
    return rng.choice(LANGUAGES) if rng.random() < 0.6 else mutated_name(rng)


def any_age(rng: random.Random) -> str:
    """Draw an age in years."""
    return str(rng.randint(1, 99))


def invented_word(rng: random.Random) -> str:
    """Make a word in lower case that is in no dictionary."""
    return rng.choice((spoken_name, spoken_name, letter_name, mutated_name))(rng).lower()


def draw(what: Callable[[random.Random], str], rng: random.Random, held_out: bool) -> str:
    """Draw a value that training never sees, or one that it may see; familiar ones are never held out."""
    while True:
        value = what(rng)
        if value.lower() in FAMILIAR:
            if not held_out:
                return value
        elif is_held_out(value) == held_out:
            return value


def any_word(rng: random.Random) -> str:
    """Draw an everyday word or an invented one."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(NOUNS)
    return rng.choice(ADJECTIVES) if kind < 0.75 else rng.choice((spoken_name, letter_name))(rng).lower()
