"""Word problems about money: wages and savings, prices, bills and change, in whole dollars."""

from mulfact.data_builders.synthetic.stories.graph import Template

HAVE = ("How many dollars does {name} have?", "How much money does {name} have, in dollars?")
NOW = ("How many dollars does {name} have now?", "How much money does {name} have now?")
LEFT = ("How many dollars does {name} have left?", "How much money is left?")
PAY = ("How many dollars does {name} pay?", "How much does {name} pay in all?", "What is the bill in dollars?")
PAID_BY_EACH = ("How many dollars does each of them pay?", "How much is that for each of them?")

HAVE_LINE = ("{name} has {dollars}.", "{He} has {dollars} in all.")
NOW_LINE = ("Now {name} has {dollars}.", "{He} then has {dollars}.", "That makes {dollars}.")
LEFT_LINE = ("{name} has {dollars} left.", "That leaves {dollars}.", "{He} still has {dollars}.")
PAY_LINE = ("{name} pays {dollars}.", "Together that costs {dollars}.", "The bill is {dollars}.")
EARN_LINE = ("{name} earns {dollars}.", "{He} gets {dollars}.")

OPENINGS = (
    Template(
        "v = a * b",
        (
            "{name} buys {a} {things} for ${b} each.",
            "One {thing} costs ${b}. {name} buys {a} of them.",
            "In a shop {name} takes {a} {things} at ${b} a piece.",
        ),
        (("The {things} cost {dollars}.", "{name} pays {dollars}."),),
        PAY,
        gives="bill",
    ),
    Template(
        "v = a * b",
        (
            "{name} works {a} hours and earns ${b} an hour.",
            "For each hour of work {name} gets ${b}. {He} works {a} hours.",
        ),
        (EARN_LINE,),
        ("How many dollars does {name} earn?", "How much money does {name} earn?"),
        gives="money",
    ),
    Template(
        "v = a * b",
        (
            "{name} saves ${b} a week for {a} weeks.",
            "Every week {name} puts ${b} into a jar. {He} does so for {a} weeks.",
        ),
        (("{name} saves {dollars}.", "After {a} weeks {he} has {dollars}."),),
        ("How many dollars does {name} save?", "How much money does {he} have then?"),
        gives="money",
    ),
    Template(
        "v = a * b",
        ("{name} sells {a} {things} at ${b} each.", "At a market {name} sells {a} {things} for ${b} a piece."),
        (EARN_LINE,),
        ("How many dollars does {name} get?", "How much money does {name} make?"),
        gives="money",
    ),
    Template(
        "v = a * b",
        ("A ticket costs ${a}. {name} buys tickets for {b} people.", "{name} takes {b} people to a show at ${a} each."),
        (("The tickets cost {dollars}.", "{name} pays {dollars}."),),
        PAY,
        gives="bill",
    ),
    Template(
        "v = a + b",
        (
            "{name} has ${a} and gets ${b} from {other}.",
            "{name} finds ${b} in a coat. {He} already had ${a}.",
            "For a birthday {name} gets ${a} from {other} and ${b} from {third}.",
        ),
        (HAVE_LINE,),
        HAVE,
        gives="money",
    ),
    Template(
        "v = a + b",
        (
            "{name} buys a hat for ${a} and a shirt for ${b}.",
            "{name} pays ${a} for lunch and ${b} for dinner.",
            "A pen costs ${a} and a book ${b}. {name} buys both.",
        ),
        (PAY_LINE,),
        PAY,
        gives="bill",
    ),
    Template(
        "v = a - b",
        (
            "{name} has ${a} and spends ${b} on {things}.",
            "{name} had ${a} before {he} paid ${b} for a lamp.",
            "Of ${a} {name} gives ${b} to {other}.",
        ),
        (LEFT_LINE,),
        LEFT,
        gives="money",
    ),
    Template(
        "v = a / b",
        (
            "In a shop {b} {things} cost ${a}, all at the same price.",
            "The price of {b} {things} is ${a} in the shop that {name} likes.",
        ),
        (("One {thing} costs {dollars}.", "Each {thing} costs {dollars}."),),
        ("How many dollars does one {thing} cost?", "What is the price of one {thing} in dollars?"),
        gives="price",
    ),
    Template(
        "v = a / b",
        (
            "{name} and some friends, {b} people in all, split a bill of ${a} equally.",
            "A dinner costs ${a}. Around the table sit {b} people who share the cost equally.",
        ),
        (("Each of them pays {dollars}.",),),
        PAID_BY_EACH,
        gives="each pays",
    ),
    Template(
        "n = a * b; v = n + c",
        (
            "{name} buys {a} {things} for ${b} each and a bag for ${c}.",
            "{name} rents a boat for {a} hours at ${b} an hour and pays ${c} for a guide.",
        ),
        (("First {he} pays {dollars}.", "That part costs {dollars}."), PAY_LINE),
        PAY,
        gives="bill",
    ),
    Template(
        "m = a * b; n = c * d; v = m + n",
        (
            "{name} mows {a} lawns for ${b} each and washes {c} cars for ${d} each.",
            "{name} works {a} hours at ${b} an hour and {c} hours at ${d} an hour.",
        ),
        (("First {he} earns {dollars}.",), ("Then {he} earns {dollars}.",), ("In all {he} earns {dollars}.",)),
        ("How many dollars does {name} earn?", "How much money does {name} earn in all?"),
        gives="money",
    ),
)

EVENTS = (
    Template(
        "v = v + a",
        (
            "{Then} {other} gives {him} ${a}.",
            "{Then} {he} finds ${a} more.",
            "{Then} {he} earns ${a} by walking a dog.",
        ),
        (NOW_LINE,),
        NOW,
        takes="money",
        gives="money",
    ),
    Template(
        "v = v - a",
        (
            "{Then} {he} spends ${a} on lunch.",
            "{Then} {he} pays ${a} for a bus ticket.",
            "{Then} {he} lends {other} ${a}.",
        ),
        (LEFT_LINE,),
        LEFT,
        takes="money",
        gives="money",
    ),
    Template(
        "n = a * b; v = v - n",
        ("{Then} {he} buys {a} notebooks for ${b} each.", "{Then} {he} pays for {a} meals at ${b} each."),
        (("{He} spends {dollars}.", "That costs {dollars}."), LEFT_LINE),
        LEFT,
        takes="money",
        gives="money",
    ),
    Template(
        "n = a * b; v = v + n",
        ("{Then} {he} works {a} hours for ${b} an hour.", "{Then} {he} cleans {a} rooms for ${b} each."),
        (("{He} earns {dollars} more.", "The work brings {dollars}."), NOW_LINE),
        NOW,
        takes="money",
        gives="money",
    ),
    Template(
        "v = v * k",
        ("{Then} {he} saves on until {he} has {times} as much.", "{Then} a prize makes {his} money {times} as much."),
        (NOW_LINE,),
        NOW,
        takes="money",
        gives="money",
    ),
    Template(
        "v = v / part",
        ("{Then} {he} spends all but {part_of} of it.", "{Then} {he} keeps {part_of} of it and gives away the rest."),
        (LEFT_LINE,),
        LEFT,
        takes="money",
        gives="money",
    ),
    Template(
        "n = v / cut; v = v - n",
        ("{Then} {he} pays {percent} of it as rent.", "{Then} {he} gives {percent} of it to {other}."),
        (("{percent} of it is {dollars}.", "That is {dollars}."), LEFT_LINE),
        LEFT,
        takes="money",
        gives="money",
    ),
    Template(
        "v = v / a",
        ("{Then} {he} divides the money equally among {a} children.", "{Then} {a} friends share it in equal parts."),
        (("Each of them gets {dollars}.", "That is {dollars} for each."),),
        ("How many dollars does each of them get?", "How much money is that for each of them?"),
        takes="money",
        gives="each gets",
    ),
    Template(
        "v = a - v",
        ("{He} wants to buy a bicycle for ${a}.", "A tent costs ${a}, and {name} would like to have it."),
        (("{He} still needs {dollars}.", "Missing are {dollars}."),),
        ("How many more dollars does {he} need?", "How much money is still missing?"),
        takes="money",
        gives="missing",
    ),
    Template(
        "v = v / a",
        (
            "{Then} {he} spends all of it on {things} at ${a} each.",
            "{Then} {he} buys {things} for all the money, ${a} each.",
        ),
        (("{He} gets {eq} {things}.", "For that {he} can buy {eq} {things}."),),
        ("How many {things} does {he} buy?", "How many {things} does {he} get for it?"),
        takes="money",
        gives="things",
    ),
    Template(
        "v = v + a",
        ("The shop adds ${a} for delivery.", "{He} also buys a pie for ${a}.", "{He} leaves a tip of ${a}."),
        (PAY_LINE,),
        PAY,
        takes="bill",
        gives="bill",
    ),
    Template(
        "n = a * b; v = v + n",
        ("{He} also takes {a} drinks at ${b} each.", "{He} adds {a} pies for ${b} each."),
        (("That adds {dollars}.", "The extra cost is {dollars}."), PAY_LINE),
        PAY,
        takes="bill",
        gives="bill",
    ),
    Template(
        "v = v - a",
        ("A coupon takes ${a} off.", "{other} pays ${a} of the bill."),
        (PAY_LINE,),
        PAY,
        takes="bill",
        gives="bill",
    ),
    Template(
        "n = v / cut; v = v - n",
        ("There is a discount of {percent}.", "Today everything is {percent} off."),
        (("The discount is {dollars}.", "{percent} of the price is {dollars}."), PAY_LINE),
        PAY,
        takes="bill",
        gives="bill",
    ),
    Template(
        "v = a - v",
        ("{He} pays with ${a}.", "{He} had ${a} in {his} pocket and pays the bill."),
        (("{He} gets back {dollars}.", "That leaves {dollars}."),),
        ("How many dollars are left?", "How much change does {name} get?"),
        takes="bill",
        gives="money",
    ),
    Template(
        "v = v / a",
        (
            "{name} splits the bill with friends, {a} people in all.",
            "Together with friends, {a} people in all, {he} shares the bill equally.",
        ),
        (("Each of them pays {dollars}.",),),
        PAID_BY_EACH,
        takes="bill",
        gives="each pays",
    ),
    Template(
        "v = v * a",
        ("{name} buys {a} of them.", "{name} takes {a} of them at this price."),
        (("The {a} {things} cost {dollars}.", "Together that costs {dollars}."),),
        ("How many dollars do the {a} {things} cost?", "What is the price of {a} {things} in dollars?"),
        takes="price",
        gives="bill",
    ),
)
