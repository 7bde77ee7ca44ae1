"""What a Discord on this machine consists of: users, servers, messages as its JSON states them. Pure."""

import re
from collections.abc import Mapping
from typing import Any

ME, APP, GUILD = 900_000_000_000_001_000, 900_000_000_000_002_000, 900_000_000_000_003_000
ADMIN, MEMBER = 8, 0x800 | 0x400 | 0x4000
WRITER = 0x400 | 0x800 | 0x4000 | 0x8000 | 0x4000000000
EPHEMERAL = 64


def user(user_id: int, name: str = "", *, bot: bool = False) -> dict[str, Any]:
    return {
        "id": str(user_id), "username": name or f"user{user_id}", "discriminator": "0", "avatar": None, "bot": bot,
        "global_name": name or f"User {user_id}",
    }  # fmt: skip


ADMINS = frozenset((77,))


def member(user_id: int) -> dict[str, Any]:
    return {
        "user": user(user_id), "roles": [str(GUILD + 1)] if user_id in ADMINS else [], "nick": None, "avatar": None,
        "joined_at": "2027-01-15T08:00:00+00:00", "deaf": False, "mute": False, "flags": 0,
        "permissions": str(ADMIN | MEMBER | 0x10 | 0x20 if user_id in ADMINS else MEMBER),
    }  # fmt: skip


def role(role_id: int, name: str, permissions: int) -> dict[str, Any]:
    return {
        "id": str(role_id), "name": name, "color": 0, "hoist": False, "position": 0, "managed": False,
        "mentionable": False, "flags": 0, "permissions": str(permissions),
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
    }  # fmt: skip


def guild(channels: Any) -> dict[str, Any]:
    here = [channel for channel in channels if channel.get("guild_id") == str(GUILD)]
    return {
        "id": str(GUILD), "name": "Collectors", "owner_id": "1", "roles": [
            role(GUILD, "@everyone", WRITER), role(GUILD + 1, "admins", ADMIN),
        ],
        "channels": [channel for channel in here if channel["type"] == 0],
        "threads": [channel for channel in here if channel["type"] == 11],
        "members": [{**member(ME), "user": user(ME, "Tocsin", bot=True)}], "member_count": 3, "emojis": [],
        "stickers": [], "features": [], "large": False, "unavailable": False, "presences": [], "voice_states": [],
        "joined_at": "2027-01-15T08:00:00+00:00", "premium_tier": 0, "preferred_locale": "en-US",
        "verification_level": 0, "default_message_notifications": 0, "explicit_content_filter": 0, "mfa_level": 0,
        "nsfw_level": 0, "afk_timeout": 0, "system_channel_flags": 0, "stage_instances": [],
        "guild_scheduled_events": [], "soundboard_sounds": [], "icon": None, "splash": None, "banner": None,
        "description": None, "discovery_splash": None, "afk_channel_id": None, "application_id": None,
        "system_channel_id": None, "rules_channel_id": None, "public_updates_channel_id": None,
        "vanity_url_code": None, "premium_progress_bar_enabled": False, "safety_alerts_channel_id": None,
    }  # fmt: skip


def application() -> dict[str, Any]:
    return {
        "id": str(APP), "name": "Tocsin", "icon": None, "description": "", "bot_public": True, "verify_key": "0" * 64,
        "bot_require_code_grant": False, "flags": 0, "owner": user(1), "team": None, "summary": "",
    }  # fmt: skip


def message_of(message_id: int, channel_id: int, author: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(message_id), "channel_id": str(channel_id), "author": author, "content": "", "tts": False,
        "timestamp": "2027-01-15T08:00:00+00:00", "edited_timestamp": None, "mention_everyone": False, "mentions": [],
        "mention_roles": [], "attachments": [], "embeds": [], "pinned": False, "type": 0, "flags": 0, "components": [],
    }  # fmt: skip


def attachment(name: str, data: bytes, number: int) -> dict[str, Any]:
    url = f"https://cdn.example/attachments/{number}/{name}?ex=1"
    return {"id": str(number), "filename": name, "size": len(data), "url": url, "proxy_url": url, "_bytes": data}


def resolved(embed: Mapping[str, Any], attachments: list[dict[str, Any]]) -> dict[str, Any]:
    """The picture of an embed by its address, as Discord returns it."""
    name = embed.get("image", {}).get("url", "").removeprefix("attachment://")
    url = next((one["url"] for one in attachments if one["filename"] == name), None)
    made = {"type": "rich", **embed}
    return {**made, "image": {"url": url, "proxy_url": url, "height": 1, "width": 1}} if url else made


def stored_command(command: Mapping[str, Any], number: int) -> dict[str, Any]:
    """As Discord returns it: with its own fields, without what is at its default."""
    options = [
        {key: value for key, value in option.items() if value not in (False, [])}
        for option in command.get("options", ())
    ]
    stored = {**command, "id": str(number), "application_id": str(APP), "version": str(number), "nsfw": False}
    stored |= {"default_member_permissions": None, "name_localizations": None, "dm_permission": True}
    return {**stored, "options": options} if options else {k: v for k, v in stored.items() if k != "options"}


def filled_in(part: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    if part["type"] == 10:
        return {"type": 10, "id": 1}
    inner, name = part["component"], part["label"].lower()
    if inner["type"] == 3:
        shown = [option["value"] for option in inner["options"] if option.get("default")]
        chosen = [values[name]] if name in values else shown
        assert set(chosen) <= {option["value"] for option in inner["options"]}
        assert chosen or not inner["required"], f"the client asks for {name}"
        return {"type": 18, "component": {"type": 3, "custom_id": inner["custom_id"], "values": chosen}}
    value = values.get(name, inner.get("value") or "")
    assert value or not inner["required"], f"the client asks for {name}"
    return {"type": 18, "component": {"type": 4, "custom_id": inner["custom_id"], "value": value}}


def pings(message: Mapping[str, Any]) -> bool:
    """Whether somebody's phone rings by a mention in it."""
    mentions = "@everyone" in message["content"] or "@here" in message["content"] or "<@" in message["content"]
    allowed = message.get("allowed_mentions")
    return mentions and (not allowed or bool(allowed.get("parse", ["everyone"])))


def text_of(message: Mapping[str, Any]) -> str:
    """What a person reads."""
    lines = [message["content"]]
    for embed in message["embeds"]:
        lines += [embed.get("title", ""), embed.get("description", "")]
        lines += [f"{field['name']}: {field['value']}" for field in embed.get("fields", ())]
    return unescaped("\n".join(line for line in lines if line))


def unescaped(text: str) -> str:
    return re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text)


def labels(message: Mapping[str, Any]) -> list[str]:
    return [one["label"] for one in buttons(message)]


def buttons(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for row in message["components"] for one in row["components"]]


def plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only this fake knows."""
    shown = {key: value for key, value in message.items() if key not in ("pings", "edits", "reference")}
    shown["attachments"] = [{k: v for k, v in one.items() if k != "_bytes"} for one in message["attachments"]]
    return {key: value for key, value in shown.items() if key != "allowed_mentions"}
