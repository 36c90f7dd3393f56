"""How a question is asked, how its answer is written, and how that answer is read again: the one home of all three.

    python -c "from mulfact.data_builders.problems.prompts import *; print(format_prompt('What is 6*9?', 'direct'))"

The answer stands behind "#### " as in GSM8K; `extract_answer` is the rule of its authors (openai/grade-school-math,
grade_school_math/dataset.py). What evaluation makes of it stands in evals/grading/answers.py.
"""

import re

ANSWER = re.compile(r"#### (\-?[0-9\.\,]+)")
NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
ANNOTATION = re.compile(r"<<([^<>\n]*)>>")  # a calculation beside its text, as GSM8K has it
ANSWER_LABELS = {"cot": "Solution", "direct": "Answer"}


def format_prompt(question: str, style: str) -> str:
    """Return the prompt of a question in the "cot" or "direct" style; it does not end in white space."""
    return f"Question: {question}\n{ANSWER_LABELS[style]}:"


def format_completion(solution: str, answer: str, style: str) -> str:
    """Return the completion that follows `format_prompt`; it begins with a space and ends with the final #### line.

    `solution` is the chain of thought without its final #### line; the direct style leaves it out.
    """
    return f" {solution}\n#### {answer}" if style == "cot" else f" #### {answer}"


def question_of(prompt: str) -> str:
    """Return the question that `format_prompt` was given."""
    return prompt.removeprefix("Question: ").rpartition("\n")[0]


def extract_answer(text: str) -> str | None:
    """Return the number behind the first "#### ", without commas, as the GSM8K authors do; None when there is none."""
    match = ANSWER.search(text)
    return match.group(1).replace(",", "") if match else None
