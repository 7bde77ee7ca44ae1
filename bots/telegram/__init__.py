"""Telegram: commands, buttons, inline mode, forms step by step, boards and alerts, through aiogram.

Updates come by long polling, so the hub needs no address of its own. Promises: a line is handled at most once (a
batch is confirmed as soon as its handlers run); lines of one chat are answered in order; text from outside is shown as
text, never as markup; nothing of a chat, and no token, reaches the log. `send` raises Gone where a chat is closed to
us for good, and TryLater where Telegram or the network asks to wait. Nothing is kept on disk: a button carries its
line, a form's state stands in its message, a board's in its pin.

From the wire inwards: `api` (calls, pace, errors), `listen` (updates → handlers), `lines` and `people` (what was said,
by whom), `conversation` (a line → hub → what is shown), `show` and `render` (a Reply as messages), `steps` (forms),
`inline`, `menu`, `board`, `alerts` (what delivery sends), `limits`. aiogram is imported when the bot starts, not here.
"""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bots.telegram.bot import Telegram

PLATFORMS = ("telegram",)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: str = ""  # from @BotFather; in the environment only
    server: str = "https://api.telegram.org"  # or a Bot API server of one's own
    charts_with_alerts: bool = True  # a picture of the last 24 hours behind an alert, at most one a minute a chat
    board_every_s: float = 15.0  # between two edits of a pinned board
    detect: bool = False  # answer $BTC and #gold in all groups, not only where `place detect on` was said


def open_bot(settings: Settings) -> "Telegram":
    from bots.telegram.bot import Telegram

    return Telegram(settings)
