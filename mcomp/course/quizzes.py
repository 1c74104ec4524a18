"""Three questions at the end of a chapter: buttons where widgets live, else a form with folded answers."""

from mcomp.course import store
from mcomp.course.model import load
from mcomp.course.show import escape, live, panel, show


def quiz(chapter, *, answers=False):
    """Show the quiz of that chapter, such as ``quiz("02")``; as plain text with `answers` or without."""
    questions = load(chapter).quiz
    widget = _widget(chapter, questions) if live() else None
    show(_text(chapter, questions, answers), _html(chapter, questions), widget=widget)


def _letter(number):
    return "abcdefgh"[number]


def _verdict(option):
    return f"{'Right' if option.right else 'Not this one'}: {option.why}"


def _text(chapter, questions, answers):
    """The quiz as plain text."""
    lines = [f"Quiz, chapter {chapter}"]
    for number, question in enumerate(questions, 1):
        lines += ["", f"{number}. {question.text}"]
        for i, option in enumerate(question.options):
            lines.append(f"   {_letter(i)}) {option.text}")
            lines += [f"      {_verdict(option)}"] if answers else []
    how = [] if answers else ["", f'quiz("{chapter}", answers=True) gives the answers']
    return "\n".join(lines + how)


def _html(chapter, questions):
    """The quiz as HTML: every option unfolds to say whether it is right, and why."""
    body = ""
    for number, question in enumerate(questions, 1):
        body += f'<div style="margin-top:.6em">{number}. {escape(question.text)}</div>'
        body += "".join(
            f"<details><summary>{_letter(i)}) {escape(option.text)}</summary>"
            f'<div style="margin:.2em 0 .4em 1.5em">{escape(_verdict(option))}</div></details>'
            for i, option in enumerate(question.options)
        )
    return panel("note", f"Quiz, chapter {chapter}", body)


def _widget(chapter, questions):
    """The quiz as ipywidgets; the first answer to each question counts for the progress table."""
    import ipywidgets

    first, boxes = {}, []

    def asked(number, question):
        buttons = ipywidgets.RadioButtons(
            options=[(f"{_letter(i)}) {option.text}", i) for i, option in enumerate(question.options)],
            value=None,
            layout={"width": "auto"},
        )
        answer = ipywidgets.HTML()

        def chosen(change):
            if change["new"] is None:
                return
            option = question.options[change["new"]]
            first.setdefault(number, option.right)
            answer.value = panel("good" if option.right else "bad", _verdict(option))
            if len(first) == len(questions):
                store.mark("quiz", chapter, f"{sum(first.values())} of {len(questions)}")

        buttons.observe(chosen, "value")
        return [ipywidgets.HTML(f"<b>{number}. {escape(question.text)}</b>"), buttons, answer]

    for number, question in enumerate(questions, 1):
        boxes += asked(number, question)
    return ipywidgets.VBox(boxes)
