"""What Slack answers instead of a success → TryLater, GiveUp or Gone, in words that say what to change. Pure.

Error names are those of Slack's method pages. What a token lacks is worth waiting for (somebody repairs it in Slack's
console); a channel that is not there is not. No answer's text is kept but the error's name and the scope it asks for.
"""

from collections.abc import Mapping
from typing import Any

from hub.plugin import GiveUp, Gone, TryLater

CONSOLE = {
    "invalid_auth": "the token is not one of Slack's, copy it anew: that of the bot from the page OAuth & Permissions, "
    "that of the app from App-Level Tokens on the first page",
    "not_authed": "the token is empty: set TOCSIN_BOTS__SLACK__TOKEN and TOCSIN_BOTS__SLACK__APP_TOKEN",
    "token_revoked": "the token was revoked: install the app again under OAuth & Permissions and copy the new one",
    "token_expired": "the token ran out: switch token rotation off under OAuth & Permissions, and install it again",
    "account_inactive": "the app was removed from the workspace: install it again under OAuth & Permissions",
    "not_allowed_token_type": "a token of the other sort stands there: the bot's begins with xoxb-, the app's xapp-",
    "org_login_required": "the workspace is being moved by Slack: it works again when that is over",
    "team_access_not_granted": "the app has no access to this workspace: an admin has to approve it",
    "app_not_installed": "the app is not installed: Install App, then copy the bot token",
    "socket_mode_not_enabled": "Socket Mode is off: switch it on in the app's settings under Socket Mode",
    "messages_tab_disabled": "the app takes no direct messages: switch on App Home, Messages Tab",
    "link_disabled": "Socket Mode is off: switch it on in the app's settings under Socket Mode",
}
GONE = {
    "channel_not_found": "there is no such channel, or the bot was removed from it: /invite it there",
    "not_in_channel": "the bot is not in that channel: /invite it there",
    "is_archived": "the channel is archived",
    "user_not_found": "there is no such person",
    "users_not_found": "there is no such person",
    "user_disabled": "that person left the workspace",
    "user_not_visible": "that person cannot be seen by the bot",
    "cannot_dm_bot": "that is a bot",
}
LATER = frozenset(
    ("ratelimited", "rate_limited", "message_limit_exceeded", "fatal_error", "internal_error", "service_unavailable",
     "request_timeout", "team_added_to_org", "accesslimited", "")
)  # fmt: skip


def of(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> TryLater | GiveUp:
    name = str(body.get("error", ""))
    if status == 429 or name in ("ratelimited", "rate_limited", "message_limit_exceeded"):
        return TryLater("slack: asked to wait", seconds(headers.get("Retry-After")))
    if status >= 500 or name in LATER:
        return TryLater(f"slack: the server answered {status}{f' ({name})' if name else ''}")
    if name == "missing_scope":
        return TryLater(f"slack: {scope(body)}")
    if name in CONSOLE:
        return TryLater(f"slack: {CONSOLE[name]} ({name})")
    if name in GONE:
        return Gone(f"slack: {GONE[name]} ({name})")
    return GiveUp(f"slack: refused ({name})")


def of_start(status: int, headers: Mapping[str, str], body: Mapping[str, Any]) -> TryLater | GiveUp:
    """The same where the bot starts: a token that does not work is a reason to stop and say so."""
    name = str(body.get("error", ""))
    if name in CONSOLE or name == "missing_scope":
        return GiveUp(scope(body) if name == "missing_scope" else f"{CONSOLE[name]} ({name})")
    return of(status, headers, body)


def scope(body: Mapping[str, Any]) -> str:
    needed = str(body.get("needed", "")) or "a scope"
    return (
        f"the app lacks {needed}: add it under OAuth & Permissions, Scopes, and install the app again (missing_scope)"
    )


def seconds(retry_after: str | None) -> float | None:
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() else None
