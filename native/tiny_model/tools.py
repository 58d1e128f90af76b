"""Tools that a chat declares, the calls that are right, and the answers that their results make.

Everyday families give natural sentences. Invented tools, of any verb, noun and parameter names, teach to read the declaration
instead of knowing the tool.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sentences
import values

CALL_START, CALL_END = "<tool_call>", "</tool_call>"
DONE = "It is done."


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, its JSON type, whether a call must give it, and the mark that stands for it in sentences."""

    name: str
    type: str
    required: bool = True
    mark: str = ""


@dataclass(frozen=True)
class Tool:
    """One declared tool and the sentences that ask for it, with marks for the values."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    requests: tuple[str, ...]
    kinds: dict[str, str]
    invented: bool = False

    def declaration(self) -> str:
        """Write it as the chat template does."""
        types = (
            f"{json.dumps(parameter.name)}: {parameter.type}{'' if parameter.required else '?'}"
            for parameter in self.parameters
        )
        description = f"{self.description} " if self.description else ""
        return f'{description}{{"name": {json.dumps(self.name)}, "arguments": {{{", ".join(types)}}}}}'


@dataclass(frozen=True)
class Task:
    """What the user asks of a tool, and the call that is right."""

    user: str
    tool: Tool
    arguments: dict[str, Any]

    def call(self) -> str:
        """Write the call as the model does."""
        inner = json.dumps({"name": self.tool.name, "arguments": self.arguments}, ensure_ascii=False)
        return f"{CALL_START}{inner}{CALL_END}"


# Names; descriptions; parameters as mark=names:type:kind of value; requests.
_FAMILIES = """
get_weather,weather,current_weather,weather_in,getWeather,fetch_weather;Get the weather of a city.,The weather in a place.,Tell the current weather.,;p=city,place,location,town:string:place;What is the weather in {p}?|How is the weather in {p}?|Weather in {p}?|Tell me the weather in {p}.|What's the weather like in {p}?|Get the weather of {p}.|Is it raining in {p}?
get_forecast,forecast,weather_forecast;Get the forecast of the weather for some days.,Forecast the weather.;p=city,place,location:string:place d=days,day_count:integer:small;Forecast for {p} for {d} days.|What will the weather be in {p} in the next {d} days?|Give me the weather forecast of {p} for {d} days.|How will the weather be in {p} for {d} days?
get_time,current_time,clock,time_now;Get the current time.,Tell what time it is.,;;What time is it?|Tell me the time.|What is the time?|What's the time now?|Do you know what time it is?
get_time_in,local_time,time_in_city,world_clock;Get the time in a city.,The local time of a place.;p=city,place,zone,location:string:place;What time is it in {p}?|Tell me the time in {p}.|What is the time in {p}?|What's the local time in {p}?
get_date,today,current_date;Get the date of today.,Tell the date.;;What is the date today?|What day is it?|Tell me the date.|Which day is today?
add,add_numbers,plus,sum_of,get_sum;Add two numbers.,The sum of two numbers.,;a=a,x,first,left,n1:integer:number b=b,y,second,right,n2:integer:number;What is {a} plus {b}?|Add {a} and {b}.|{a} + {b}|How much is {a} plus {b}?|Add {a} to {b}.|What is the sum of {a} and {b}?
multiply,multiply_numbers,times,product_of;Multiply two numbers.,The product of two numbers.,;a=a,x,first,left:integer:number b=b,y,second,right:integer:number;What is {a} times {b}?|Multiply {a} by {b}.|{a} * {b}|How much is {a} times {b}?|Multiply {a} and {b}.
subtract,minus,difference;Subtract one number from another.,The difference of two numbers.;a=a,x,first,left:integer:number b=b,y,second,right:integer:number;What is {a} minus {b}?|{a} - {b}|How much is {a} minus {b}?|Calculate {a} minus {b}.
divide,division,quotient;Divide one number by another.,The quotient of two numbers.;a=a,x,first,numerator:number:decimal b=b,y,second,denominator:number:decimal;What is {a} divided by {b}?|Divide {a} by {b}.|{a} / {b}|How much is {a} divided by {b}?
square_root,sqrt,root;Get the square root of a number.,;a=x,number,value,n:number:decimal;What is the square root of {a}?|Square root of {a}.|Calculate the square root of {a}.
search,web_search,search_web,find,lookup;Search the web.,Search for something.,Find pages about a query.;q=query,text,term,q,words:string:text;Search for {q}.|Search the web for {q}.|Look up {q}.|Find {q}.|Please search for {q}.|Look for {q} on the web.
translate,translate_text,translation;Translate a text into a language.,Translate text.;t=text,word,sentence:string:text l=language,target,to,target_language:string:language;Translate {t} into {l}.|Translate {t} to {l}.|How do you say {t} in {l}?|What is {t} in {l}?
define,define_word,dictionary,meaning;Get the meaning of a word.,Look a word up in the dictionary.;w=word,term:string:word;What does {w} mean?|Define {w}.|What is the meaning of {w}?|Look up the meaning of {w}.
send_message,message,send_text,sendMessage;Send a message to a person.,Send somebody a message.;n=to,name,recipient,person:string:name t=text,message,body,content:string:text;Send {n} the message {t}.|Send the message {t} to {n}.|Send a message to {n}: {t}|Tell {n}: {t}|Write to {n}: {t}|Message {n}: {t}
call_person,phone,make_call,dial;Call a person on the phone.,Make a phone call.;n=name,person,contact,who:string:name;Call {n}.|Phone {n}.|Please call {n} on the phone.|Make a phone call to {n}.|Give {n} a call.
set_timer,timer,start_timer;Set a timer.,Start a timer of some minutes.;m=minutes,duration,length:integer:small;Set a timer for {m} minutes.|Start a timer of {m} minutes.|Timer for {m} minutes, please.|Set the timer to {m} minutes.
set_alarm,alarm,wake_me;Set an alarm.,Set the alarm clock to an hour.;h=hour,time,at:integer:small;Wake me at {h}.|Set an alarm for {h} o'clock.|Set the alarm to {h}.|Alarm at {h}, please.
add_note,note,save_note,write_note,take_note;Save a note.,Write a note down.;t=text,note,content:string:text;Note: {t}|Take a note: {t}|Write down: {t}|Save the note {t}.|Make a note: {t}
add_item,add_to_list,shopping_list;Add an item to the shopping list.,Put something on the list.;w=item,name,product:string:word c=count,amount,quantity:integer:small:?;Add {w} to the list.|Put {w} on the shopping list.|Add {c} {w} to the list.|Put {c} {w} on the shopping list.|Add {w} to my shopping list.
turn_on,switch_on,light_on;Turn a device on.,Switch something on.;w=device,name,thing:string:noun;Turn on the {w}.|Switch on the {w}.|Turn the {w} on.|Please switch the {w} on.
turn_off,switch_off,light_off;Turn a device off.,Switch something off.;w=device,name,thing:string:noun;Turn off the {w}.|Switch off the {w}.|Turn the {w} off.|Please switch the {w} off.
set_light,light,switch_light;Switch the light of a room on or off.,Set the light.;r=room,where,place:string:room s=on,state,is_on:boolean:onoff;Turn the light in the {r} {s}.|Switch the light in the {r} {s}.|Light in the {r} {s}.|Turn {s} the light in the {r}.
set_temperature,heating,thermostat;Set the temperature of the heating.,Set the heating.;n=degrees,temperature,value,celsius:number:decimal;Set the heating to {n} degrees.|Set the temperature to {n}.|Heat to {n} degrees.|Set the thermostat to {n} degrees.
roll_die,roll_dice,dice,roll;Roll a die.,Roll a die with some sides.;n=sides,faces:integer:small;Roll a die with {n} sides.|Roll a {n} sided die.|Roll a die of {n} sides.|Throw a die with {n} sides.
flip_coin,toss_coin,coin;Flip a coin.,Toss a coin.;;Flip a coin.|Toss a coin.|Heads or tails?|Please flip a coin.
random_number,random_int,pick_number;Get a random number between two numbers.,;a=low,min,start,from:integer:number b=high,max,end,to:integer:number;Give me a random number between {a} and {b}.|Random number from {a} to {b}.|Pick a number between {a} and {b}.
play_music,play_song,play,music;Play a song.,Play music.;t=song,title,name,track:string:text;Play {t}.|Play the song {t}.|Put on the song {t}.|I want to hear the song {t}.
get_price,price,price_of,stock_price;Get the price of a product.,The price of a share or product.;w=product,item,symbol,name:string:word;What is the price of {w}?|How much does {w} cost?|Price of {w}?|Tell me the price of {w}.
get_population,population,count_people;Get the population of a country.,How many people live in a place.;p=country,place,name,city:string:place;How many people live in {p}?|What is the population of {p}?|Population of {p}?|Tell me the population of {p}.
get_capital,capital,capital_of;Get the capital of a country.,The capital of a country.;p=country,name,of:string:place;What is the capital of {p}?|Capital of {p}?|Tell me the capital of {p}.|Which city is the capital of {p}?
get_distance,distance,how_far;Get the distance between two places.,How far it is.;p=start,origin,a,from:string:place q=end,destination,b,to:string:place;How far is it from {p} to {q}?|Distance from {p} to {q}?|What is the distance from {p} to {q}?|How far is {q} from {p}?
book_table,reserve_table,reservation;Book a table in a restaurant.,Reserve a table.;c=people,persons,guests,count:integer:small p=restaurant,place,name:string:name;Book a table for {c} at {p}.|Reserve a table for {c} people at {p}.|A table for {c} at {p}, please.
book_flight,find_flight,flights;Book a flight.,Find a flight between two cities.;p=origin,start,departure,from:string:place q=destination,end,arrival,to:string:place;Book a flight from {p} to {q}.|Find a flight from {p} to {q}.|I want to fly from {p} to {q}.|Flight from {p} to {q}, please.
convert,convert_money,exchange;Convert money from one currency to another.,Exchange money.;n=amount,value:number:decimal a=source,from,base:string:money b=target,to,into:string:money;Convert {n} {a} to {b}.|How much is {n} {a} in {b}?|Change {n} {a} into {b}.|Exchange {n} {a} for {b}.
read_file,open_file,load_file,cat;Read a file.,Get the text of a file.;f=path,file,name,filename:string:file;Read the file {f}.|Open {f}.|Show me the file {f}.|What is in {f}?|Read {f}.
delete_file,remove_file,rm;Delete a file.,;f=path,file,name,filename:string:file;Delete the file {f}.|Delete {f}.|Remove the file {f}.|Please remove {f}.
list_files,files,ls;List the files.,Show the files of the folder.;;List the files.|Show me the files.|Which files are there?|What files do I have?
count_words,word_count;Count the words of a text.,;t=text,sentence,content:string:text;Count the words in {t}.|How many words are in {t}?|Count the words of {t}.
reverse,reverse_text,backwards;Reverse a text.,Write a text backwards.;t=text,word,content,s:string:text;Reverse {t}.|Write {t} backwards.|Reverse the text {t}.|What is {t} backwards?
send_email,email,mail;Send an email.,Write an email to a person.;n=to,recipient,address:string:name s=subject,title,about:string:word;Send an email to {n} about {s}.|Email {n} about {s}.|Write an email about {s} to {n}.|Mail {n} about {s}.
get_user,find_user,user_info;Get a user by number.,Find a user.;n=id,user_id,number:integer:number;Get user {n}.|Find the user {n}.|Who is user {n}?|Show me the user with id {n}.
run_python,python,execute;Run Python code.,Execute code.;t=code,source,program:string:code;Run {t}|Execute {t}|Run the code {t}|Run this Python: {t}
remind_me,add_reminder,reminder;Set a reminder.,Remind the user of something.;t=text,about,what:string:text h=hour,time,at:integer:small;Remind me at {h} to {t}.|Remind me to {t} at {h}.|Set a reminder at {h}: {t}
""".strip().splitlines()

_MONEY = "euros dollars pounds yen francs rubles pesos rupees crowns euro dollar".split()
_ROOMS = "kitchen bedroom bathroom hall garden office cellar attic garage library".split() + ["living room", "dining room"]
_VERBS = """
paint clean wash open close lock unlock start stop build fix repair move lift drop fill empty heat cool cut fold press push pull shake
turn check count measure weigh test scan print copy save load send fetch get find show hide draw plot sort rank merge split join record
play pause buy sell order rent book cancel plan pack unpack water feed walk train teach grade mark sign approve reject archive restore
launch land dock charge tune calibrate polish sharpen mix stir bake boil fry freeze peel plant harvest deliver ship track inspect
update create delete remove add list rename upload download compress encrypt translate summarise publish share block mute ring greet
""".split()
_NOUNS = """
fence wall door window gate car bike boat train plane rocket robot drone engine pump valve lamp light fan heater oven stove fridge kettle
table chair shelf box crate bottle jar cup plate knife spoon pan pot garden lawn hedge tree flower field barn roof floor ceiling carpet
curtain blanket pillow coat shirt shoe hat glove bag suitcase ticket seat room desk drawer folder document report letter invoice order
contract photo video song album playlist channel station account profile password message meeting event task project ticket bug branch
server database table backup image chart map route parcel truck bus taxi ferry bridge tunnel tower clock watch phone tablet screen printer
camera microphone speaker guitar piano drum violin book page chapter lesson exam grade score match race trophy medal horse cow sheep hen
dog cat fish cake bread soup salad pizza sauce cheese apple orange grape coffee tea juice milk sugar salt pepper
""".split()
_STRING_NAMES = """
colour color name title label mode size style place room city target owner author subject text note reason kind type category status
format unit brand material method level side shape flavour theme person user client group team region country language currency
""".split()
_NUMBER_NAMES = """
count amount number size width height depth length weight speed level days hours minutes seconds weeks price limit pages rows columns
copies times degrees volume power score age year rate percent steps floors people
""".split()
_BOOLEAN_NAMES = """
fast slow loud quiet public private urgent express wet dry hot cold bright dark safe strict deep full silent automatic verbose hidden
""".split()
_PREFIXES = ("", "", "", "", "", "Please ", "Can you ", "Could you ", "I want you to ", "Now ", "Hi, ", "OK, ")


def _word(rng: random.Random, words: list[str], held_out: bool) -> str:
    """Draw a word, or an invented one, of those for training or for the evaluation."""
    return values.draw(lambda r: r.choice(words) if r.random() < 0.75 else values.spoken_name(r).lower(), rng, held_out)


def _phrase(rng: random.Random) -> str:
    words = [values.any_word(rng) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))]
    text = " ".join(words)
    return text.capitalize() if rng.random() < 0.2 else text


def _number(rng: random.Random) -> str:
    digits = rng.choice((1, 1, 2, 2, 2, 3, 4))
    return str(rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10**digits))


def _decimal(rng: random.Random) -> str:
    return _number(rng) if rng.random() < 0.5 else f"{rng.randint(0, 99)}.{rng.randint(1, 9)}"


def _file(rng: random.Random) -> str:
    return f"{values.any_word(rng)}{rng.choice(('.txt', '.csv', '.py', '.md', '.json'))}"


def _code(rng: random.Random) -> str:
    return rng.choice((f"print({_number(rng)})", f"x = {_number(rng)}", f"{_number(rng)} + {_number(rng)}", f"len({values.any_word(rng)})"))


_DRAWS: dict[str, Callable[[random.Random], str]] = {
    "place": values.any_place,
    "number": _number,
    "small": lambda rng: str(rng.randint(1, 60)),
    "decimal": _decimal,
    "text": _phrase,
    "word": values.any_word,
    "noun": lambda rng: rng.choice(_NOUNS) if rng.random() < 0.7 else values.invented_word(rng),
    "room": lambda rng: rng.choice(_ROOMS) if rng.random() < 0.7 else values.invented_word(rng),
    "language": values.any_language,
    "money": lambda rng: rng.choice(_MONEY) if rng.random() < 0.7 else values.invented_word(rng),
    "file": _file,
    "code": _code,
    "colour": values.any_colour,
}


def _value(kind: str, rng: random.Random, held_out: bool) -> str:
    if kind == "name":
        return values.any_name(rng, held_out)
    if kind == "onoff":
        return rng.choice(("on", "off"))
    if kind == "any":
        kind = rng.choice(("place", "word", "colour", "name", "language", "text"))
        return _value(kind, rng, held_out)
    if kind in ("small", "number", "decimal", "file", "code"):
        return _DRAWS[kind](rng)
    return values.draw(_DRAWS[kind], rng, held_out)


def _as_json(text: str, kind: str) -> Any:
    if kind == "boolean":
        return text in ("on", "yes", "true")
    if kind in ("integer", "number"):
        return float(text) if "." in text else int(text)
    return text


def family_tool(rng: random.Random, line: str | None = None) -> Tool:
    """Draw an everyday tool."""
    names, descriptions, parameters, requests = (line or rng.choice(_FAMILIES)).split(";")
    made, kinds = [], {}
    for text in parameters.split():
        mark, spec = text.split("=")
        choices, kind, value_kind, *optional = spec.split(":")
        made.append(Parameter(rng.choice(choices.split(",")), kind, not optional, mark))
        kinds[mark] = value_kind
    if len({parameter.name for parameter in made}) < len(made):
        return family_tool(rng, line)
    return Tool(
        rng.choice(names.split(",")), _described(rng.choice(descriptions.split(",")), rng), tuple(made), tuple(requests.split("|")), kinds
    )


def _described(text: str, rng: random.Random) -> str:
    return text.rstrip(".") if text and rng.random() < 0.15 else text


def invented_tool(rng: random.Random, held_out: bool = False) -> Tool:
    """Make a tool of a verb, a noun and up to three parameters; its words are held out or not."""
    if rng.random() < 0.2:
        return _getter(rng, held_out)
    verb, noun = _word(rng, _VERBS, held_out), _word(rng, _NOUNS, held_out and rng.random() < 0.8)
    parameters = _parameters(rng, held_out)
    description = rng.choice(
        (f"{verb.capitalize()} the {noun}.", f"{verb.capitalize()} a {noun}.", f"Use it to {verb} the {noun}.", f"{verb.capitalize()}s a {noun}.")
    )
    name = _named(rng, verb, noun)
    if rng.random() < 0.2:
        description = ""
    elif rng.random() < 0.15:
        name = rng.choice((values.spoken_name(rng).lower(), f"tool_{rng.randint(1, 99)}", f"{values.spoken_name(rng).lower()}_{rng.choice(_NOUNS)}"))
    objects = rng.choice(("the {n}", "the {n}", "a {n}", "my {n}", "this {n}")).replace("{n}", noun)
    kinds = {parameter.mark: {"string": "any", "integer": "number", "number": "decimal", "boolean": "flag"}[parameter.type] for parameter in parameters}
    return Tool(name, _described(description, rng), parameters, (f"{verb} {objects}",), kinds, invented=True)


def _named(rng: random.Random, verb: str, noun: str) -> str:
    return rng.choice(
        (f"{verb}_{noun}", f"{verb}_{noun}", f"{verb}_{noun}", f"{verb}{noun.capitalize()}", f"{verb}_the_{noun}", f"{noun}_{verb}", f"{verb.capitalize()}{noun.capitalize()}", f"{verb}-{noun}", f"{verb}{noun}")
    )


def _getter(rng: random.Random, held_out: bool) -> Tool:
    """Make a tool that tells something of something."""
    noun = _word(rng, _NOUNS, held_out)
    of = rng.choice(_STRING_NAMES)
    name = rng.choice((f"get_{noun}", f"get_{noun}_of", f"{noun}", f"{noun}_of_{of}", f"find_{noun}", f"get{noun.capitalize()}"))
    description = rng.choice((f"Get the {noun} of a {of}.", f"The {noun} of a {of}.", f"Tell the {noun}.", ""))
    requests = f"What is the {noun} of {{s}}?|Tell me the {noun} of {{s}}.|Get the {noun} of {{s}}.|What's the {noun} of {{s}}?|{noun.capitalize()} of {{s}}?"
    return Tool(name, description, (Parameter(of, "string", True, "s"),), tuple(requests.split("|")), {"s": "any"})


def _parameters(rng: random.Random, held_out: bool) -> tuple[Parameter, ...]:
    made: list[Parameter] = []
    for index in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        kind = rng.choice(("string", "string", "integer", "integer", "number", "boolean"))
        words = {"string": _STRING_NAMES, "boolean": _BOOLEAN_NAMES}.get(kind, _NUMBER_NAMES)
        name = _word(rng, words, False) if not held_out or rng.random() < 0.5 else _word(rng, words, True)
        if rng.random() < 0.15:
            name = f"{rng.choice(('max', 'min', 'new', 'old', 'first', 'start', 'end'))}_{name}"
        if name not in {parameter.name for parameter in made}:
            made.append(Parameter(name, kind, rng.random() < 0.75, f"{index}"))
    return tuple(made)


def _spoken_parameter(parameter: Parameter, text: str, alone: bool, rng: random.Random) -> str:
    """Say a parameter's value."""
    name = parameter.name.replace("_", " ") if rng.random() < 0.8 else parameter.name
    if parameter.type == "boolean":
        yes = text == "yes"
        return rng.choice((f"{'with' if yes else 'without'} {name}", f"{name} {'on' if yes else 'off'}", f"{name} {'true' if yes else 'false'}", f"{name}: {text}"))
    ways = [f"with {name} {text}", f"with {name} {text}", f"with the {name} {text}", f"{name} {text}", f"{name}: {text}", f"{name} = {text}", f"{name} is {text}"]
    if parameter.type == "string" and rng.random() < 0.2:
        ways = [f'with {name} "{text}"', f'{name}: "{text}"', f'{name} "{text}"']
    elif alone and parameter.type == "string":
        ways += [f"in {text}", f"for {text}", f"to {text}", f"at {text}", f"from {text}", f'"{text}"', text]
    elif alone:
        ways += [f"to {text}", f"for {text}", f"{text} {name}", f"by {text}", text, f"at {text}"]
    return rng.choice(ways)


def task(tool: Tool, rng: random.Random, held_out: bool = False) -> Task:
    """Write a request for a tool."""
    return (_invented_task if tool.invented else _family_task)(tool, rng, held_out)


def _family_task(tool: Tool, rng: random.Random, held_out: bool) -> Task:
    text, arguments = rng.choice(tool.requests), {}
    if rng.random() < 0.2:
        text = _lowered(text)
    if rng.random() < 0.15:
        text = text.rstrip(".?!")
    for parameter in tool.parameters:
        mark = "{" + parameter.mark + "}"
        if mark not in text:
            continue
        value = _value(tool.kinds[parameter.mark], rng, held_out)
        text = text.replace(mark, value)
        arguments[parameter.name] = _as_json(value, parameter.type)
    if rng.random() < 0.12:
        text = rng.choice(("Please tell me: ", "Hi, ", "Hello, ", "OK, ", "And ", "So, ", "Now ")) + text
    return Task(text, tool, arguments)


def _lowered(text: str) -> str:
    return "".join(part if part.startswith("{") else part.lower() for part in re.split(r"(\{[^}]*\})", text))


def _invented_task(tool: Tool, rng: random.Random, held_out: bool) -> Task:
    said, arguments = [], {}
    chosen = [p for p in tool.parameters if p.required or rng.random() < 0.6]
    for parameter in chosen:
        kind = tool.kinds[parameter.mark]
        value = rng.choice(("yes", "no")) if kind == "flag" else _value(kind, rng, held_out)
        arguments[parameter.name] = _as_json(value, parameter.type)
        said.append((parameter, value))
    told = [_spoken_parameter(parameter, value, len([p for p in said if p[0].type == parameter.type]) == 1 and len(said) == 1, rng) for parameter, value in said]
    if rng.random() < 0.3:
        rng.shuffle(told)
    joint = rng.choice((" and ", ", ", " "))
    text = tool.requests[0] + (" " + joint.join(told) if told else "")
    prefix = rng.choice(_PREFIXES)
    text = prefix + (text if prefix and not prefix.endswith(", ") else text[0].upper() + text[1:] if rng.random() < 0.8 else text)
    text += "?" if prefix.startswith(("Can", "Could")) else rng.choice((".", ".", ".", "", "!"))
    return Task(text, tool, arguments)


def toolbox(rng: random.Random, held_out: bool = False, most: int = 5) -> list[Tool]:
    """Draw the tools of one chat; none has the name of another, and some are alike."""
    made: list[Tool] = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 3, 4, 5)[: most + 3])):
        tool = family_tool(rng) if rng.random() < (0.3 if held_out else 0.45) else invented_tool(rng, held_out)
        if made and rng.random() < 0.12:
            tool = _sister(rng.choice(made), rng)
        if not any(alike(tool, other) for other in made):
            made.append(tool)
    return made


def _sister(tool: Tool, rng: random.Random) -> Tool:
    """Make a tool that shares its noun with another."""
    if not tool.invented:
        return invented_tool(rng)
    verb, noun = _word(rng, _VERBS, False), tool.requests[0].split()[-1]
    description = rng.choice((f"{verb.capitalize()} the {noun}.", f"{verb.capitalize()} a {noun}.", ""))
    return Tool(f"{verb}_{noun}", description, (), (f"{verb} the {noun}",), {}, invented=True)


def alike(tool: Tool, other: Tool) -> bool:
    """Tell whether two tools could not be told apart by what the user says."""
    return tool.name == other.name or bool(set(tool.requests) & set(other.requests)) or _first(tool) == _first(other)


def _first(tool: Tool) -> str:
    text = tool.requests[0].lower()
    if tool.invented:
        return " ".join((text.split()[0], text.split()[-1]))
    return text


def is_sum(tool: Tool) -> bool:
    """Tell whether the model can do without this tool."""
    return "{a} + {b}" in tool.requests


# Results


def any_result(rng: random.Random, held_out: bool = False) -> Any:
    """Draw what a tool may return."""
    kind = rng.random()
    if kind < 0.30:
        return _phrase(rng)
    if kind < 0.42:
        return _as_json(_decimal(rng), "number")
    if kind < 0.55:
        return fact_string(rng, held_out)
    if kind < 0.80:
        return {_key(rng): _scalar(rng, held_out) for _ in range(rng.choice((1, 2, 2, 3)))}
    if kind < 0.88:
        draw = rng.choice((lambda: _as_json(_number(rng), "integer"), lambda: values.any_word(rng), lambda: values.any_name(rng, held_out)))
        return [draw() for _ in range(rng.randint(2, 4))]
    if kind < 0.93:
        return {"error": _phrase(rng).capitalize() + rng.choice((".", ""))}
    return rng.choice((True, False, None, "", {}, [], "ok", "done"))


def fact_string(rng: random.Random, held_out: bool) -> str:
    """Draw a name, a place or a short sentence."""
    kind = rng.random()
    if kind < 0.4:
        return values.any_name(rng, held_out)
    if kind < 0.7:
        return values.draw(values.any_place, rng, held_out)
    return _phrase(rng).capitalize() + "."


def _key(rng: random.Random) -> str:
    name = rng.choice(_STRING_NAMES + _NUMBER_NAMES + _NOUNS)
    return f"{name}_{rng.choice(_NOUNS)}" if rng.random() < 0.15 else name


def _scalar(rng: random.Random, held_out: bool) -> Any:
    kind = rng.random()
    if kind < 0.45:
        return _as_json(_decimal(rng), "number")
    if kind < 0.9:
        return values.any_word(rng) if rng.random() < 0.6 else fact_string(rng, held_out).rstrip(".")
    return rng.random() < 0.5


def result_text(result: Any, rng: random.Random) -> str:
    """Write a result as the chat template does: its JSON, or a plain text."""
    if isinstance(result, str) and result and rng.random() < 0.3:
        return result
    return json.dumps(result, ensure_ascii=False)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def answer(result: Any) -> tuple[str, str]:
    """Write the reply that a result makes, and its short form."""
    if result in (None, "", {}, []):
        return DONE, "Done."
    if isinstance(result, dict) and list(result) == ["error"]:
        return _closed(f"That did not work: {_said(result['error'])}"), _closed(f"Error: {_said(result['error'])}")
    if isinstance(result, dict):
        parts = [(key.replace("_", " "), _said(value)) for key, value in result.items()]
        return " ".join(_closed(f"The {key} is {value}") for key, value in parts), _closed(", ".join(value for _, value in parts))
    text = ", ".join(map(_said, result)) if isinstance(result, list) else _said(result)
    return _closed(f"The answer is {text}"), _closed(text)


def calls_of(reply: str) -> list[dict[str, Any]]:
    """Read the calls in a reply."""
    return [json.loads(part.partition(CALL_END)[0]) for part in reply.split(CALL_START)[1:]]


def openai_json(tool: Tool) -> dict[str, Any]:
    """Declare a tool as the engine wants it."""
    properties = {parameter.name: {"type": parameter.type} for parameter in tool.parameters}
    required = [parameter.name for parameter in tool.parameters if parameter.required]
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": parameters}}
