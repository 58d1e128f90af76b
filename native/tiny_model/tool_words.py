"""The words of the tools: everyday families with the sentences that ask for them, and verbs, nouns and names for invented ones."""

from __future__ import annotations

import re

import wordfreq
from values import phrases, words

# Names; descriptions; parameters as mark=names:type:kind of value; requests.
FAMILIES = """
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

MONEY = words("euros dollars pounds yen francs rubles pesos rupees crowns euro dollar")
ROOMS = phrases(
    "kitchen|bedroom|bathroom|hall|garden|office|cellar|attic|garage|library|living room|dining room"
)
VERBS = words("""
paint clean wash open close lock unlock start stop build fix repair move lift drop fill empty heat cool cut fold press push pull shake
turn check count measure weigh test scan print copy save load send fetch get find show hide draw plot sort rank merge split join record
play pause buy sell order rent book cancel plan pack unpack water feed walk train teach grade mark sign approve reject archive restore
launch land dock charge tune calibrate polish sharpen mix stir bake boil fry freeze peel plant harvest deliver ship track inspect
update create delete remove add list rename upload download compress encrypt translate summarise publish share block mute ring greet
""")
NOUNS = words("""
fence wall door window gate car bike boat train plane rocket robot drone engine pump valve lamp light fan heater oven stove fridge kettle
table chair shelf box crate bottle jar cup plate knife spoon pan pot garden lawn hedge tree flower field barn roof floor ceiling carpet
curtain blanket pillow coat shirt shoe hat glove bag suitcase ticket seat room desk drawer folder document report letter invoice order
contract photo video song album playlist channel station account profile password message meeting event task project ticket bug branch
server database table backup image chart map route parcel truck bus taxi ferry bridge tunnel tower clock watch phone tablet screen printer
camera microphone speaker guitar piano drum violin book page chapter lesson exam grade score match race trophy medal horse cow sheep hen
dog cat fish cake bread soup salad pizza sauce cheese apple orange grape coffee tea juice milk sugar salt pepper
""")
STRING_NAMES = words("""
colour color name title label mode size style place room city target owner author subject text note reason kind type category status
format unit brand material method level side shape flavour theme person user client group team region country language currency
""")
NUMBER_NAMES = words("""
count amount number size width height depth length weight speed level days hours minutes seconds weeks price limit pages rows columns
copies times degrees volume power score age year rate percent steps floors people
""")
BOOLEAN_NAMES = words("""
fast slow loud quiet public private urgent express wet dry hot cold bright dark safe strict deep full silent automatic verbose hidden
""")
# Of all kinds, so that a tool's name is read and not known; without those that sentences are joined with.
_JOINING = {"true", "false", "yes", "off", "without", "please", "can", "could"}
COMMON = [
    word
    for word in wordfreq.top_n_list("en", 8000)[200:]
    if re.fullmatch("[a-z]{3,12}", word) and word not in _JOINING
]
