"""Word problems that compare what two or three people have: v is the first one's, w the second's, x the third's."""

from mulfact.data_builders.synthetic.stories.graph import Template

OTHER = ("How many {things} does {other} have?",)
THIRD = ("How many {things} does {third} have?",)
TOGETHER = ("How many {things} do they have together?", "How many {things} do they have in all?")

OTHER_LINE = ("{other} has {eq} {things}.",)
THIRD_LINE = ("{third} has {eq} {things}.",)
TOGETHER_LINE = ("Together they have {eq} {things}.", "In all that is {eq} {things}.")

OPENINGS = (
    Template(
        "w = v * k",
        (
            "{name} has {v} {things}. {other} has {times} as many.",
            "{other} has {times} as many {things} as {name}, who has {v}.",
        ),
        (OTHER_LINE,),
        OTHER,
        gives="pair",
    ),
    Template(
        "w = v + a",
        (
            "{name} has {v} {things}. {other} has {a} more than {name}.",
            "{other} has {a} more {things} than {name}, who has {v}.",
        ),
        (OTHER_LINE,),
        OTHER,
        gives="pair",
    ),
    Template(
        "w = v - a",
        (
            "{name} has {v} {things}. {other} has {a} fewer than {name}.",
            "{other} has {a} fewer {things} than {name}, who has {v}.",
        ),
        (OTHER_LINE,),
        OTHER,
        gives="pair",
    ),
    Template(
        "w = v / part",
        ("{name} has {v} {things}, and {other} has {part_of} of that number.",),
        (OTHER_LINE,),
        OTHER,
        gives="pair",
    ),
    Template(
        "w = v * k; d = w - v",
        (
            "{name} has {v} {things}, and {other} has {times} as many.",
            "{other} counts {times} as many {things} as {name}, who counts {v}.",
        ),
        (OTHER_LINE, ("{other} has {eq} {things} more.", "The difference is {eq} {things}.")),
        ("How many more {things} does {other} have than {name}?",),
        gives="difference",
    ),
)

EVENTS = (
    Template(
        "w = v * k",
        ("{other} has {times} as many {things} as {name} has now.", "{other} then has {times} as many as {name}."),
        (OTHER_LINE,),
        OTHER,
        takes="things",
        gives="pair",
    ),
    Template(
        "w = v + a",
        ("{other} has {a} more {things} than {name} has now.", "Now {other} has {a} more than {name}."),
        (OTHER_LINE,),
        OTHER,
        takes="things",
        gives="pair",
    ),
    Template(
        "w = v - a",
        ("{other} has {a} fewer {things} than {name} has now.", "Now {other} has {a} fewer than {name}."),
        (OTHER_LINE,),
        OTHER,
        takes="things",
        gives="pair",
    ),
    Template(
        "w = a * b; v = v + w",
        (
            "{other} has {a} {boxes} of {b} {things}. They put everything together.",
            "{other}, who owns {a} {boxes} with {b} {things} in each, joins {him}.",
        ),
        (OTHER_LINE, TOGETHER_LINE),
        TOGETHER,
        takes="things",
        gives="together",
    ),
    Template(
        "w = v * k; d = w - v",
        (
            "{other} has {times} as many {things} as {name} has now.",
            "{other} is proud to have {times} as many.",
        ),
        (OTHER_LINE, ("{other} has {eq} {things} more.", "The difference is {eq} {things}.")),
        ("How many more {things} does {other} have than {name}?",),
        takes="things",
        gives="difference",
    ),
    Template(
        "x = w + a",
        ("{third} has {a} more than {other}.", "{third} has as many as {other} and {a} more."),
        (THIRD_LINE,),
        THIRD,
        takes="pair",
        gives="trio",
    ),
    Template(
        "x = w - a",
        ("{third} has {a} fewer than {other}.", "{third} has as many as {other} except {a}."),
        (THIRD_LINE,),
        THIRD,
        takes="pair",
        gives="trio",
    ),
    Template(
        "x = v * k",
        (
            "{third} has {times} as many as {name}.",
            "{name} has a cousin, {third}, who has {times} as many as {he} has.",
        ),
        (THIRD_LINE,),
        (),  # the first two have to come together with it
        takes="pair",
        gives="trio",
    ),
    Template(
        "x = v + w",
        ("{third} has as many as {name} and {other} together.",),
        (THIRD_LINE,),
        THIRD,
        takes="pair",
        gives="trio",
    ),
    Template(
        "v = v + w",
        ("They put all their {things} into one {box}.", "They lay their {things} on one table."),
        (TOGETHER_LINE,),
        TOGETHER,
        takes="pair",
        gives="together",
    ),
    Template(
        "s = v + w; v = s + x",
        ("The three of them put all their {things} together.", "All three bring their {things} to school."),
        (("{name} and {other} have {eq} {things}.",), ("All three have {eq} {things}.", *TOGETHER_LINE)),
        TOGETHER,
        takes="trio",
        gives="together",
    ),
    Template(
        "v = v - a",
        ("They give {a} of them away.", "On the way {a} of them get lost."),
        (("Together they have {eq} {things} left.", "That leaves {eq} {things}."),),
        ("How many {things} do they have left together?",),
        takes="together",
        gives="together",
    ),
    Template(
        "v = v + a",
        ("A teacher gives them {a} more.", "Together they find {a} more."),
        (("Together they then have {eq} {things}.", "That makes {eq} {things}."),),
        ("How many {things} do they have together in the end?",),
        takes="together",
        gives="together",
    ),
    Template(
        "v = v / a",
        ("They pack them into {a} {boxes}, the same number in each.", "They fill {a} {boxes} evenly with them."),
        (("Each of the {boxes} holds {eq} {things}.",),),
        ("How many {things} are in each of the {boxes}?",),
        takes="together",
        gives="packed",
    ),
    Template(
        "v = v * a",
        ("They sell everything for ${a} a piece.", "A shop buys all their {things} at ${a} each."),
        (("They get {dollars}.", "For the {things} they get {dollars}."),),
        ("How many dollars do they get?", "How much money do they get together?"),
        takes="together",
        gives="earned together",
    ),
)
