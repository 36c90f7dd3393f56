"""Word problems about things that are counted: what somebody has, gets, gives away, packs and shares."""

from mulfact.data_builders.synthetic.stories.graph import Template

HAVE = ("How many {things} does {name} have?", "How many {things} does {name} have in all?")
NOW = ("How many {things} does {name} have now?", "How many {things} does {name} have after that?")
LEFT = ("How many {things} does {name} have left?", "How many {things} are left?")
PACKED = ("How many {things} are in each of the {boxes}?", "How many {things} does each {box} hold?")
NUMBER_OF_BOXES = ("How many {boxes} does {he} fill?", "How many {boxes} are needed?")
NEEDED = ("How many more {things} does {he} need?", "How many {things} are still missing?")
SHARE = ("How many {things} does each of them get?", "How many {things} are there for each of them?")

HAVE_LINE = ("{name} has {eq} {things}.", "{He} has {eq} {things} in all.")
NOW_LINE = ("Now {name} has {eq} {things}.", "{He} then has {eq} {things}.", "That makes {eq} {things}.")
LEFT_LINE = ("{name} has {eq} {things} left.", "That leaves {eq} {things}.", "{He} still has {eq} {things}.")
BOXES_LINE = ("The {boxes} hold {eq} {things}.", "In the {boxes} there are {eq} {things}.")
PACKED_LINE = ("Each of the {boxes} holds {eq} {things}.", "Into each {box} go {eq} {things}.")
SHARE_LINE = ("Each of them gets {eq} {things}.", "That makes {eq} {things} for each.")

OPENINGS = (
    Template(
        "v = a * b",
        (
            "{name} has {a} {boxes} with {b} {things} in each.",
            "{name} buys {a} {boxes} of {b} {things} each.",
            "There are {b} {things} in a {box}, and {name} has {a} {boxes}.",
        ),
        (HAVE_LINE,),
        HAVE,
    ),
    Template(
        "v = a * b",
        (
            "{name} puts {b} {things} into each of {a} {boxes}.",
            "{name} fills {a} {boxes} with {b} {things} each.",
        ),
        (BOXES_LINE,),
        ("How many {things} does {name} need?", "How many {things} are in the {boxes}?"),
    ),
    Template(
        "v = a * b",
        (
            "{name} lays out {things} in {a} rows of {b}.",
            "On the table of {name} there are {a} rows of {things}, {b} in each row.",
        ),
        (("There are {eq} {things} on the table.", "The rows hold {eq} {things}."),),
        ("How many {things} are there?", "How many {things} does {name} have on the table?"),
    ),
    Template(
        "v = a * b",
        (
            "Every day {name} collects {a} {things}. {He} does this for {b} days.",
            "{name} collects {a} {things} a day for {b} days.",
        ),
        (("In {b} days {he} collects {eq} {things}.", "{name} collects {eq} {things}."),),
        ("How many {things} does {name} collect?", "How many {things} does {he} have then?"),
    ),
    Template(
        "v = a * b",
        (
            "{name} gets {b} {things} from each of {a} friends.",
            "Each of the {a} friends of {name} brings {him} {b} {things}.",
        ),
        (("The friends bring {eq} {things}.", "{name} gets {eq} {things}."),),
        ("How many {things} does {name} get?", "How many {things} do the friends bring?"),
    ),
    Template(
        "v = k * a",
        (
            "Last year {name} had {a} {things}. Now {he} has {times} as many.",
            "{name} had {a} {things}, but now the number is {times} as large.",
        ),
        (NOW_LINE,),
        HAVE,
    ),
    Template(
        "v = a + b",
        (
            "{name} has {a} {things}. {other} gives {him} {b} more.",
            "{name} has {a} {things} and finds {b} more.",
            "{name} had {a} {things} before {he} bought {b} more.",
        ),
        (NOW_LINE,),
        NOW,
    ),
    Template(
        "v = a + b",
        (
            "{name} finds {a} {things} in the kitchen and {b} in the garden.",
            "{name} has {a} small {things} and {b} large ones.",
            "{name} keeps {a} {things} at home and {b} at school.",
        ),
        (HAVE_LINE,),
        HAVE,
    ),
    Template(
        "v = a - b",
        (
            "{name} has {a} {things} and gives {b} of them to {other}.",
            "{name} had {a} {things} but lost {b} of them.",
            "Of the {a} {things} that {name} had, {b} are gone.",
        ),
        (LEFT_LINE,),
        LEFT,
    ),
    Template(
        "v = a - b",
        (
            "Of {a} {things} {b} are broken. {name} keeps the others.",
            "{name} looks at {a} {things}, and {b} of them are too old. {He} takes the rest.",
        ),
        (HAVE_LINE,),
        HAVE,
    ),
    Template(
        "v = a - b",
        (
            "{name} needs {a} {things} and has {b} of them.",
            "{name} wants to collect {a} {things}. So far {he} has {b}.",
        ),
        (("{He} still needs {eq} {things}.", "{eq} {things} are missing."),),
        NEEDED,
        gives="needed",
    ),
    Template(
        "v = a / b",
        (
            "{name} shares {a} {things} equally among {b} children.",
            "{name} deals {a} {things} out to {b} friends in equal parts.",
        ),
        (SHARE_LINE,),
        SHARE,
        gives="share",
    ),
    Template(
        "v = a / b",
        (
            "{name} has {a} {things} and puts {b} of them into each {box}.",
            "A {box} holds {b} {things}, and {name} packs {a} {things}.",
        ),
        (("{He} fills {eq} {boxes}.", "That takes {eq} {boxes}."),),
        NUMBER_OF_BOXES,
        gives="boxes",
    ),
    Template(
        "v = a / part",
        (
            "{name} had {a} {things} and kept only {part_of} of them.",
            "Of {a} {things} only {part_of} belong to {name}.",
        ),
        (HAVE_LINE,),
        HAVE,
    ),
    Template(
        "n = a * b; v = n + c",
        (
            "{name} has {a} {boxes} with {b} {things} in each, and {c} loose {things}.",
            "Besides {c} single {things}, {name} has {a} {boxes} of {b} {things}.",
        ),
        (BOXES_LINE, HAVE_LINE),
        HAVE,
    ),
    Template(
        "n = a * b; v = n - c",
        (
            "{name} buys {a} {boxes} of {b} {things}, but {c} of the {things} are bad and must go.",
            "From {a} {boxes} of {b} {things} {name} takes out {c} for {other}.",
        ),
        (BOXES_LINE, LEFT_LINE),
        LEFT,
    ),
    Template(
        "m = a * b; n = c * d; v = m + n",
        (
            "{name} has {a} {boxes} with {b} {things} each and {c} {boxes} with {d} {things} each.",
            "In the morning {name} fills {a} {boxes} with {b} {things}, in the evening {c} {boxes} with {d}.",
        ),
        (
            ("The first {boxes} hold {eq} {things}.",),
            ("The other {boxes} hold {eq} {things}.",),
            ("Together that is {eq} {things}.", "{name} has {eq} {things} in all."),
        ),
        HAVE,
    ),
)

EVENTS = (
    Template(
        "v = v + a",
        (
            "{Then} {other} gives {him} {a} more.",
            "{Then} {he} buys {a} more {things}.",
            "{Then} {he} finds {a} more {things}.",
        ),
        (NOW_LINE,),
        NOW,
        takes="things",
    ),
    Template(
        "n = a * b; v = v + n",
        (
            "{Then} {he} gets {a} more {boxes} with {b} {things} in each.",
            "{Then} {other} brings {him} {a} {boxes} of {b} {things}.",
        ),
        (("The new {boxes} hold {eq} {things}.", "That is {eq} more {things}."), NOW_LINE),
        NOW,
        takes="things",
    ),
    Template(
        "v = v - a",
        (
            "{Then} {he} gives {a} of them to {other}.",
            "{Then} {he} loses {a} of them.",
            "{Then} {he} sells {a} of them.",
        ),
        (LEFT_LINE,),
        LEFT,
        takes="things",
    ),
    Template(
        "n = a * b; v = v - n",
        (
            "{Then} {he} gives {b} of them to each of {a} friends.",
            "{Then} {a} neighbors take {b} of them each.",
        ),
        (("The others take {eq} {things}.", "{He} gives away {eq} {things}."), LEFT_LINE),
        LEFT,
        takes="things",
    ),
    Template(
        "n = a * b; v = v - n",
        (
            "{Then} {he} uses {a} of them every day for {b} days.",
            "{Then} for {b} days {a} of them go bad each day.",
        ),
        (("In {b} days that is {eq} {things}.", "{eq} {things} are gone after {b} days."), LEFT_LINE),
        LEFT,
        takes="things",
    ),
    Template(
        "v = v * k",
        (
            "{Then} {he} wins so many that {he} has {times} as many.",
            "{Then} {other} gives {him} enough to make it {times} as many.",
        ),
        (NOW_LINE,),
        NOW,
        takes="things",
    ),
    Template(
        "v = v * a",
        ("{Then} {he} sells all of them for ${a} each.", "{Then} {other} buys them all at ${a} a piece."),
        (("For the {things} {he} gets {dollars}.", "{name} earns {dollars}."),),
        ("How many dollars does {he} get?", "How much money does {name} get for the {things}?"),
        takes="things",
        gives="money",
    ),
    Template(
        "v = v / a",
        (
            "{Then} {he} packs all of them into {a} {boxes}, the same number in each.",
            "{Then} {he} divides them evenly among {a} {boxes}.",
        ),
        (PACKED_LINE,),
        PACKED,
        takes="things",
        gives="packed",
    ),
    Template(
        "v = v / a",
        ("{Then} {he} puts {a} of them into each {box}.", "{Then} {he} packs them, {a} to a {box}."),
        (("That fills {eq} {boxes}.", "{He} needs {eq} {boxes}."),),
        NUMBER_OF_BOXES,
        takes="things",
        gives="boxes",
    ),
    Template(
        "v = v / a",
        (
            "{Then} {he} shares all of them equally among {a} children.",
            "{Then} {a} friends divide them in equal parts.",
        ),
        (SHARE_LINE,),
        SHARE,
        takes="things",
        gives="share",
    ),
    Template(
        "v = v / part",
        ("{Then} {he} gives away all but {part_of} of them.", "{Then} {he} keeps only {part_of} of them."),
        (("{He} keeps {eq} {things}.", "{name} has {eq} {things} left."),),
        LEFT,
        takes="things",
    ),
    Template(
        "n = v / cut; v = v - n",
        ("{Then} {he} sells {percent} of them.", "{Then} {percent} of them get lost."),
        (("{percent} of them is {eq} {things}.", "Gone are {eq} {things}."), LEFT_LINE),
        LEFT,
        takes="things",
    ),
    Template(
        "v = a - v",
        ("{He} wants to have {a}.", "For a party {he} needs {a} of them."),
        (("{He} still needs {eq} {things}.", "{eq} {things} are missing."),),
        NEEDED,
        takes="things",
        gives="needed",
    ),
    Template(
        "v = v / a",
        ("From then on {he} uses {a} of them a day.", "Every day {name} and {other} need {a} of them."),
        (("They last for {eq} days.", "{He} has enough for {eq} days."),),
        ("How many days do the {things} last?", "After how many days are none left?"),
        takes="things",
        gives="days",
    ),
    Template(
        "v = v - a",
        ("Each of them gives {a} back.", "Each of them uses {a} at once."),
        (("Each of them keeps {eq} {things}.", "That leaves each with {eq} {things}."),),
        ("How many {things} does each of them have left?", "How many {things} does each keep?"),
        takes="share",
        gives="share",
    ),
    Template(
        "v = v + a",
        ("Each of them already had {a}.", "{other} then gives each of them {a} more."),
        (("Each of them then has {eq} {things}.", "That makes {eq} {things} for each."),),
        ("How many {things} does each of them have now?", "How many {things} does each have in the end?"),
        takes="share",
        gives="share",
    ),
    Template(
        "v = v * a",
        ("{Then} {he} sells every {box} for ${a}.", "A full {box} costs ${a}, and {other} buys all of them."),
        (("For the {boxes} {he} gets {dollars}.", "{name} earns {dollars}."),),
        ("How many dollars does {he} get?", "How much money does {name} get for the {boxes}?"),
        takes="boxes",
        gives="money",
    ),
    Template(
        "v = v + a",
        ("{Then} {other} brings {a} more full {boxes}.", "There were already {a} full {boxes} in the room."),
        (("Now there are {eq} {boxes}.", "Together that is {eq} {boxes}."),),
        ("How many full {boxes} are there now?", "How many {boxes} are full in the end?"),
        takes="boxes",
        gives="boxes",
    ),
)
