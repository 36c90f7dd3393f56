"""Word problems about time, ways and reading: minutes, days, miles, pages."""

from mulfact.data_builders.synthetic.stories.graph import Template

MINUTES = ("How many minutes is that in all?", "How many minutes does {name} need?")
MILES = ("How many miles does {name} go in all?", "How many miles is that?")
PAGES = ("How many pages does {name} read?", "How many pages is that in all?")
PAGES_LEFT = ("How many pages are left?", "How many pages does {name} still have to read?")
MINUTES_LINE = ("That takes {eq} minutes.", "{name} needs {eq} minutes.")
MILES_LINE = ("{name} goes {eq} miles.", "That is {eq} miles.")
PAGES_LINE = ("{name} reads {eq} pages.", "That is {eq} pages.")
PAGES_LEFT_LINE = ("There are {eq} pages left.", "{He} still has to read {eq} pages.")

OPENINGS = (
    Template(
        "v = a * b",
        (
            "{name} plays the piano {a} minutes a day for {b} days.",
            "It takes {name} {a} minutes to wash a window. {He} washes {b} windows.",
            "{name} draws {b} pictures and needs {a} minutes for each.",
        ),
        (MINUTES_LINE,),
        MINUTES,
        gives="minutes",
    ),
    Template(
        "v = a + b",
        (
            "{name} cooks for {a} minutes and eats for {b} minutes.",
            "{name} walks for {a} minutes and rides for {b} minutes.",
        ),
        (MINUTES_LINE,),
        MINUTES,
        gives="minutes",
    ),
    Template(
        "v = a / b",
        (
            "A baker makes {b} pies in {a} minutes, all in the same time.",
            "A machine needs {a} minutes for {b} toys.",
        ),
        (("One of them takes {eq} minutes.", "That is {eq} minutes for each."),),
        ("How many minutes does one of them take?", "How many minutes is that for each?"),
        gives="minutes each",
    ),
    Template(
        "v = a * b",
        (
            "{name} drives {b} hours at {a} miles an hour.",
            "{name} runs {a} miles a day for {b} days.",
            "The way to school is {a} miles long, and {name} goes it {b} times.",
        ),
        (MILES_LINE,),
        MILES,
        gives="miles",
    ),
    Template(
        "v = a + b",
        (
            "{name} goes {a} miles by bus and {b} miles by train.",
            "{name} rides {a} miles on Friday and {b} miles on Sunday.",
        ),
        (MILES_LINE,),
        MILES,
        gives="miles",
    ),
    Template(
        "v = a / b",
        (
            "A boat goes {a} miles in {b} hours, always at the same speed.",
            "For {a} miles a slow train needs {b} hours.",
        ),
        (("That is {eq} miles an hour.", "The speed is {eq} miles an hour."),),
        ("How many miles is that in an hour?", "What is the speed in miles an hour?"),
        gives="speed",
    ),
    Template(
        "v = a * b",
        ("{name} reads {a} pages a day for {b} days.", "{name} reads {b} chapters of {a} pages."),
        (PAGES_LINE,),
        PAGES,
        gives="pages",
    ),
    Template(
        "v = a - b",
        (
            "A book has {a} pages, and {name} has read {b} of them.",
            "{name} must read {a} pages and has read {b} so far.",
        ),
        (PAGES_LEFT_LINE,),
        PAGES_LEFT,
        gives="pages left",
    ),
    Template(
        "v = a * 7",
        ("{name} stays with {other} for {a} weeks.", "It is {a} weeks until the birthday of {name}."),
        (("That is {eq} days.", "In days that is {eq} days."),),
        ("How many days is that?",),
        gives="time",
    ),
)

EVENTS = (
    Template(
        "v = v + a",
        ("{Then} {he} rests for {a} minutes.", "{Then} {he} works {a} minutes more."),
        (MINUTES_LINE,),
        MINUTES,
        takes="minutes",
        gives="minutes",
    ),
    Template(
        "n = a * b; v = v + n",
        ("{Then} {he} makes {a} calls of {b} minutes.", "{Then} {he} does {a} tasks that take {b} minutes each."),
        (("For this {he} needs {eq} minutes.", "That adds {eq} minutes."), MINUTES_LINE),
        MINUTES,
        takes="minutes",
        gives="minutes",
    ),
    Template(
        "v = v - a",
        ("With the help of {other} {he} saves {a} minutes.", "But {he} is {a} minutes faster than planned."),
        (MINUTES_LINE,),
        MINUTES,
        takes="minutes",
        gives="minutes",
    ),
    Template(
        "v = a - v",
        ("{He} has {a} minutes for all this.", "{His} break is {a} minutes long."),
        (("{He} has {eq} minutes left.", "{eq} minutes remain."),),
        ("How many minutes are left?",),
        takes="minutes",
        gives="minutes left",
    ),
    Template(
        "v = v * a",
        ("{name} is just as fast and makes {a} of them.", "{name} waits until {a} of them are ready."),
        (("The {a} together take {eq} minutes.", *MINUTES_LINE),),
        ("How many minutes do these {a} take?",),
        takes="minutes each",
        gives="minutes",
    ),
    Template(
        "v = v + a",
        ("{Then} {he} goes {a} miles more.", "{Then} {he} walks another {a} miles."),
        (MILES_LINE,),
        MILES,
        takes="miles",
        gives="miles",
    ),
    Template(
        "n = a * b; v = v + n",
        ("{Then} {he} walks {a} miles a day for {b} days.", "{Then} {he} goes {b} hours at {a} miles an hour."),
        (("That adds {eq} miles.", "In this part {he} goes {eq} miles."), MILES_LINE),
        MILES,
        takes="miles",
        gives="miles",
    ),
    Template(
        "v = v * 2",
        ("{Then} {he} goes back the same way.", "{Then} {he} does all of it a second time."),
        (MILES_LINE,),
        MILES,
        takes="miles",
        gives="miles",
    ),
    Template(
        "v = a - v",
        ("The whole trip is {a} miles long.", "{He} wants to go {a} miles."),
        (("There are {eq} miles to go.", "{He} still has {eq} miles before {him}."),),
        ("How many miles are left?", "How many miles does {he} still have to go?"),
        takes="miles",
        gives="miles left",
    ),
    Template(
        "v = v * a",
        ("{name} rides on it for {a} hours.", "{name} is on board for {a} hours."),
        (("In {a} hours that is {eq} miles.", *MILES_LINE),),
        ("How many miles is that in {a} hours?",),
        takes="speed",
        gives="miles",
    ),
    Template(
        "v = v + a",
        ("{Then} {he} reads {a} pages more.", "{Then} {he} also reads a story of {a} pages."),
        (PAGES_LINE,),
        PAGES,
        takes="pages",
        gives="pages",
    ),
    Template(
        "v = a - v",
        ("The book has {a} pages.", "{His} aim is to read {a} pages."),
        (PAGES_LEFT_LINE,),
        PAGES_LEFT,
        takes="pages",
        gives="pages left",
    ),
    Template(
        "v = v - a",
        ("{Then} {he} reads {a} pages more.", "{Then} {he} finds time for {a} pages."),
        (PAGES_LEFT_LINE,),
        PAGES_LEFT,
        takes="pages left",
        gives="pages left",
    ),
    Template(
        "v = v / a",
        ("{He} wants to read the rest in {a} days, the same number of pages each day.",),
        (("{He} reads {eq} pages a day.", "That is {eq} pages each day."),),
        ("How many pages does {he} read a day?",),
        takes="pages left",
        gives="pages a day",
    ),
    Template(
        "v = v - a",
        ("Of these {a} days have passed.", "{other} comes only after {a} days."),
        (("That leaves {eq} days.",),),
        ("How many days are left?",),
        takes="time",
        gives="time",
    ),
)
