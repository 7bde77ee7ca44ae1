"""Who says something on Discord, where, and with which rights there. Depends on discord.py.

A place is a channel or a thread of a server to which the bot was added. Where somebody uses the bot that they added to
their own account, in a server or group that does not have it, there is no place: the bot could not write there.
"""

import discord

from hub.model import Who

PLATFORM = "discord"
RIGHTS = (
    "I may not write in this channel, so no alert can arrive here. Allow Tocsin View Channel, Send Messages and Embed "
    "Links in the channel's settings, or set the alert in a private message to me."
)


def may_write(rights: discord.Permissions, *, thread: bool) -> bool:
    speak = rights.send_messages_in_threads if thread else rights.send_messages
    return rights.view_channel and speak and rights.embed_links


def administers(rights: discord.Permissions) -> bool:
    return rights.administrator or rights.manage_guild or rights.manage_channels


def of_interaction(interaction: "discord.Interaction[discord.Client]") -> Who:
    user, place = interaction.user, place_of(interaction)
    if not place:
        return private(user, str(interaction.locale))
    return Who(
        platform=PLATFORM,
        id=str(user.id),
        name=user.display_name,
        place=place,
        place_name=name_of(interaction.channel),
        address=f"channel:{place}" if writable(interaction) else "",
        admin=administers(interaction.permissions),
        language=str(interaction.locale),
    )


def place_of(interaction: "discord.Interaction[discord.Client]") -> str:
    inside = interaction.is_guild_integration() and interaction.channel_id is not None
    return str(interaction.channel_id) if inside else ""


def writable(interaction: "discord.Interaction[discord.Client]") -> bool:
    return may_write(interaction.app_permissions, thread=isinstance(interaction.channel, discord.Thread))


def onlookers(interaction: "discord.Interaction[discord.Client]") -> bool:
    """Whether others would see an answer that is not ephemeral."""
    return interaction.guild_id is not None or isinstance(interaction.channel, discord.GroupChannel)


def of_message(message: discord.Message) -> Who:
    author, channel = message.author, message.channel
    if message.guild is None:
        return private(author)
    thread = isinstance(channel, discord.Thread)
    mine, theirs = discord.Permissions.none(), discord.Permissions.none()
    if isinstance(channel, discord.abc.GuildChannel | discord.Thread) and message.guild.me is not None:
        mine = channel.permissions_for(message.guild.me)
    if isinstance(channel, discord.abc.GuildChannel | discord.Thread) and isinstance(author, discord.Member):
        theirs = channel.permissions_for(author)
    return Who(
        platform=PLATFORM,
        id=str(author.id),
        name=author.display_name,
        place=str(channel.id),
        place_name=name_of(channel),
        address=f"channel:{channel.id}" if may_write(mine, thread=thread) else "",
        admin=administers(theirs),
    )


def private(user: discord.User | discord.Member, language: str = "") -> Who:
    return Who(platform=PLATFORM, id=str(user.id), name=user.display_name, address=f"user:{user.id}", language=language)


def name_of(channel: object) -> str:
    name = getattr(channel, "name", None)
    return f"#{name}" if name else ""
