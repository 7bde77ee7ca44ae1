"""Inline mode: `@bot gold 22k inr` in any chat, answered with prices that can be sent there.

Only questions are asked of the hub, whatever is typed: `price`, and `convert` where it is more than a name. Each
result carries a button that brings its price up to date in place.
"""

import html
from collections.abc import Sequence

from aiogram.methods import AnswerInlineQuery
from aiogram.types import (
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    InputTextMessageContent,
    LinkPreviewOptions,
)

from bots.telegram import limits, render
from bots.telegram.api import Api
from bots.telegram.lines import HELLO
from bots.telegram.menu import Known
from bots.telegram.people import PLATFORM
from bots.telegram.show import keyboard
from hub.forms import complete
from hub.model import Button, Instrument, Line, Reply, Who
from hub.plugin import Hub, TryLater

CACHE_S = 5
OFFERED = 5  # instruments for a word that is being typed


async def answer(api: Api, hub: Hub, known: Known, query: InlineQuery) -> None:
    user = query.from_user
    who = Who(platform=PLATFORM, id=str(user.id), name=user.full_name, language=user.language_code or "")
    results, hint = await _results(hub, known, " ".join(query.query.split())[: limits.INLINE_QUERY], who)
    button = InlineQueryResultsButton(text=limits.cut(hint, 64), start_parameter=HELLO) if hint else None
    method = AnswerInlineQuery(
        inline_query_id=query.id,
        results=results[: limits.INLINE_RESULTS],  # type: ignore[arg-type]  # a list is invariant
        cache_time=CACHE_S,
        is_personal=True,
        button=button,
    )
    await api.call(method)


async def _results(hub: Hub, known: Known, text: str, who: Who) -> tuple[list[InlineQueryResultArticle], str]:
    """What can be sent, and a hint where there is nothing."""
    hint = ""
    for line in lines(text, known.instruments):
        try:
            reply = await hub.ask(Line(text=line, who=who))
        except TryLater:
            return [], "The hub does not answer now"
        if reply.ok:
            return articles(reply, line), ""
        hint = hint or (reply.lines[0] if reply.lines else "")
    return [], hint or "Write what you want the price of"


def lines(text: str, instruments: Sequence[Instrument]) -> list[str]:
    """The questions that a text may be, the likeliest first."""
    if not text:
        return ["price"]
    asked = [f"price {text}"]
    if " " in text:
        asked += [f"convert {text}"] if text[0].isdigit() else [f"convert 1 {text}", f"convert 1 g {text}"]
        return asked
    words = {word: one.id for one in instruments for word in (*one.aliases, one.name, one.id)}
    if text.casefold() in {word.casefold() for word in words}:
        return asked
    meant = list(dict.fromkeys(words[word] for word in complete(text, list(words))))[:OFFERED]
    return [f"price {' '.join(meant)}"] if meant else asked


def articles(reply: Reply, line: str) -> list[InlineQueryResultArticle]:
    """A row of the table each, or the whole reply as one."""
    if len(reply.table) > 2:
        head, *rows = reply.table
        each = [Reply(title=row[0], table=(head, row)) for row in rows]
        return [
            _article(one, _again(row[0], line), str(number))
            for number, (one, row) in enumerate(zip(each, rows, strict=True))
        ]
    return [_article(reply, line, "0")]


def _again(cell: str, line: str) -> str:
    """ "Gold (XAU-USD)" → the line that asks for it alone."""
    name = cell.rpartition("(")[2].rstrip(")") if cell.endswith(")") else ""
    return f"price {name}" if name else line


def _article(reply: Reply, line: str, number: str) -> InlineQueryResultArticle:
    row = reply.table[1] if len(reply.table) > 1 else ()
    title = row[0] if row else reply.title or (reply.lines[0] if reply.lines else "Prices")
    told = " · ".join(cell for cell in row[1:] if cell) if row else " ".join(reply.lines)
    return InlineQueryResultArticle(
        id=number,
        title=limits.cut(title, 128),
        description=limits.cut(told, 256) or None,
        input_message_content=InputTextMessageContent(
            message_text=render.text(reply) or html.escape(title),
            parse_mode="HTML",
            link_preview_options=LinkPreviewOptions(is_disabled=True),
        ),
        reply_markup=keyboard(render.rows([Button(label="Refresh", line=line)])),
    )
