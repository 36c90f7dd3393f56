"""Word problems about other measures: pounds, square feet, yards, points, seats, legs, ages."""

from mulfact.data_builders.synthetic.stories.graph import Template

POUNDS = ("How many pounds is that in all?", "What is the weight of everything in pounds?")
SQUARE_FEET = ("How many square feet is that?", "What is this area in square feet?")
POINTS = ("How many points does {name} have?", "What is the score of {name}?")
FREE_SEATS = ("How many seats are free?", "How many seats are still empty?")
POUNDS_LINE = ("Together that is {eq} pounds.", "Everything weighs {eq} pounds.")
AREA_LINE = ("The area is {eq} square feet.", "It has {eq} square feet.")
POINTS_LINE = ("{name} has {eq} points.", "That is {eq} points.")
FREE_LINE = ("{eq} seats are free.", "That leaves {eq} seats.")

OPENINGS = (
    Template(
        "v = a * b",
        (
            "{name} carries {a} bags of rice that weigh {b} pounds each.",
            "On a truck {name} loads {a} stones of {b} pounds.",
        ),
        (POUNDS_LINE,),
        POUNDS,
        gives="pounds",
    ),
    Template(
        "v = a + b",
        ("{name} buys {a} pounds of flour and {b} pounds of sugar.", "A dog weighs {a} pounds and a cat {b} pounds."),
        (POUNDS_LINE,),
        POUNDS,
        gives="pounds",
    ),
    Template(
        "v = a * b",
        (
            "The garden of {name} is {a} feet long and {b} feet wide.",
            "{name} paints a wall that is {a} feet long and {b} feet high.",
        ),
        (AREA_LINE,),
        SQUARE_FEET,
        gives="area",
    ),
    Template(
        "s = a + b; v = s * 2",
        ("A field of {name} is {a} yards long and {b} yards wide. {He} walks around it once.",),
        (("One long and one short side are {eq} yards.",), ("All sides together are {eq} yards.",)),
        ("How many yards does {name} walk?", "How long is the way around it in yards?"),
        gives="yards",
    ),
    Template(
        "v = a * b",
        (
            "{name} scores {a} points in each of {b} games.",
            "In a game {name} hits {b} times, and each hit counts {a} points.",
        ),
        (POINTS_LINE,),
        POINTS,
        gives="points",
    ),
    Template(
        "v = a + b",
        (
            "{name} scores {a} points in the first half and {b} in the second.",
            "{name} gets {a} points for speed and {b} for style.",
        ),
        (POINTS_LINE,),
        POINTS,
        gives="points",
    ),
    Template(
        "n = a * b; v = n - c",
        (
            "A bus has {a} rows of {b} seats, and {c} seats are taken.",
            "In a hall there are {a} rows of {b} seats, and on {c} of them people sit.",
        ),
        (("There are {eq} seats.",), FREE_LINE),
        FREE_SEATS,
        gives="seats",
    ),
    Template(
        "v = a * 4",
        ("On a farm {name} counts {a} cows.", "{name} builds {a} tables, each with four legs."),
        (("They have {eq} legs.", "That is {eq} legs."),),
        ("How many legs are that?", "How many legs do they have?"),
        gives="legs",
    ),
    Template(
        "m = a * 2; n = b * 4; v = m + n",
        ("{name} has {a} hens and {b} sheep.", "In a yard {name} sees {a} birds and {b} dogs."),
        (("The birds have {eq} legs.",), ("The others have {eq} legs.",), ("Together that is {eq} legs.",)),
        ("How many legs do all the animals have?",),
        gives="legs",
    ),
    Template(
        "v = a * k",
        (
            "The oak of {name} is {a} years old, the oak of {other} is {times} as old.",
            "{name} has a house that is {a} years old. The house of {other} is {times} as old.",
        ),
        (("That of {other} is {eq} years old.",),),
        ("How many years old is that of {other}?",),
        gives="years",
    ),
    Template(
        "v = a + b",
        (
            "{name} is {a} years old. {other} is {b} years older.",
            "When {other} was {b}, {name} was born. Now {name} is {a}.",
        ),
        (("{other} is {eq} years old.",),),
        ("How old is {other}?",),
        gives="age",
    ),
)

EVENTS = (
    Template(
        "v = v + a",
        ("{Then} {he} adds {a} pounds of salt.", "{Then} {a} pounds of corn come on top."),
        (POUNDS_LINE,),
        POUNDS,
        takes="pounds",
        gives="pounds",
    ),
    Template(
        "v = v - a",
        ("{Then} {he} takes {a} pounds away.", "The scale shows {a} pounds too much."),
        (("That leaves {eq} pounds.", "The weight is then {eq} pounds."),),
        POUNDS,
        takes="pounds",
        gives="pounds",
    ),
    Template(
        "v = v * a",
        ("For each pound {he} gets ${a}.", "{Then} {he} sells all of it at ${a} a pound."),
        (("That brings {dollars}.", "{name} gets {dollars}."),),
        ("How many dollars does {name} get?", "How much money is that?"),
        takes="pounds",
        gives="money",
    ),
    Template(
        "v = v - a",
        ("A door takes {a} square feet of it.", "Of this area {a} square feet are left free."),
        (("That leaves {eq} square feet.", "The rest has {eq} square feet."),),
        ("How many square feet remain?",),
        takes="area",
        gives="area",
    ),
    Template(
        "v = v * a",
        ("The work costs ${a} for each square foot.", "{name} pays ${a} a square foot for it."),
        (("That costs {dollars}.", "{name} pays {dollars}."),),
        ("How many dollars does {name} pay?",),
        takes="area",
        gives="bill",
    ),
    Template(
        "v = v + a",
        ("{Then} {he} wins {a} points more.", "A bonus of {a} points is added."),
        (POINTS_LINE,),
        POINTS,
        takes="points",
        gives="points",
    ),
    Template(
        "v = v - a",
        ("For a mistake {he} loses {a} points.", "{Then} {a} points are taken from {him}."),
        (POINTS_LINE,),
        POINTS,
        takes="points",
        gives="points",
    ),
    Template(
        "v = v * k",
        ("In the last round {his} score becomes {times} as high.", "{other} ends with {times} as many points."),
        (("That makes {eq} points.",),),
        ("How many points is that in the end?",),
        takes="points",
        gives="points of all",
    ),
    Template(
        "v = v + a",
        ("{Then} {a} people get up and leave.", "{Then} {a} more seats are made free."),
        (FREE_LINE,),
        FREE_SEATS,
        takes="seats",
        gives="seats",
    ),
    Template(
        "v = v + a",
        ("They talk about the time in {a} years.", "Let {a} years go by."),
        (("Then {other} is {eq} years old.",),),
        ("How old is {other} then?",),
        takes="age",
        gives="later age",
    ),
    Template(
        "v = v - a",
        ("They think of the time {a} years ago.", "Think {a} years back."),
        (("Then {other} was {eq} years old.",),),
        ("How old was {other} at that time?",),
        takes="age",
        gives="earlier age",
    ),
)
