"""What a reader has done: the bar at the head of a chapter, and the table of `mcomp progress`."""

import json

from mcomp.course import store
from mcomp.course.model import chapters, load
from mcomp.course.show import escape, panel, show

_bars = {}  # chapter -> the handle of its bar in this kernel


def rows(marks):
    """One dict a chapter: chapter, title, exercises {id: state}, right, total, quiz ("2 of 3" or None)."""
    table = []
    for number in chapters():
        chapter = load(number)
        states = {e.id: marks["exercises"].get(e.id, "to do") for e in chapter.exercises}
        right = sum(state == "right" for state in states.values())
        line = {"chapter": number, "title": chapter.title, "exercises": states, "right": right}
        table.append({**line, "total": len(states), "quiz": marks["quiz"].get(number)})
    return table


def main_progress(as_json=False):
    """What `mcomp progress` prints: a table, or JSON. Returns the exit code."""
    marks, note = store.read()
    table, path = rows(marks), store.location()
    if as_json:
        head = {"file": str(path or ""), "note": note, "set_aside": store.aside()}
        print(json.dumps({**head, "chapters": table}, indent=1))
        return 0
    for row in table:
        quiz = "" if row["quiz"] is None else f"  quiz {row['quiz']}"
        print(f"{row['chapter']}  {_bar(row)}  {row['right']} of {row['total']}  {row['title']}{quiz}")
        for exercise, state in row["exercises"].items():
            print(f"      {exercise}  {state}")
    for line in [note, *(f"set aside, unreadable: {name}" for name in store.aside())]:
        print(line, end="\n" if line else "")
    if path is None:
        print("no course folder here: go to the folder that holds chapters/")
    return 0


def _bar(row, width=20):
    full = round(width * row["right"] / max(row["total"], 1))
    return "█" * full + "░" * (width - full)


def progress_bar(chapter):
    """Show the chapter's bar; it moves when an exercise becomes right in this kernel."""
    load(chapter)
    _bars[chapter] = _show_bar(chapter, None)


def refresh(chapter):
    """Redraw the chapter's bar, if this kernel has shown one."""
    if _bars.get(chapter) is not None:
        _show_bar(chapter, _bars[chapter])


def _show_bar(chapter, handle):
    marks, note = store.read()
    row = next(row for row in rows(marks) if row["chapter"] == chapter)
    line = f"{row['right']} of {row['total']} exercises right"
    boxes = "".join(
        f'<span title="{escape(f"{e}: {state}")}">{"■" if state == "right" else "□"} </span>'
        for e, state in row["exercises"].items()
    )
    body = f"<div>{boxes} {line}</div>" + (f"<div>{escape(note)}</div>" if note else "")
    text = f"Chapter {chapter}  {_bar(row)}  {line}" + (f"\n{note}" if note else "")
    return show(text, panel("note", f"Chapter {chapter}: {row['title']}", body), handle=handle)
