"""`help`: what can be asked, made from the commands themselves."""

import msgspec

from hub.model import Argument, Reply, Request, Role
from hub.plugin import BadRequest, Command, Context

USAGE = "help [COMMAND]"
SUMMARY = "What can be asked here."
EXAMPLES = ("help", "help alert")
ARGUMENTS = (Argument(name="command", about="which one to explain", example="alert"),)
ROLE = Role.GUEST


async def run(context: Context, request: Request) -> Reply:
    commands = {command.NAME: command for command in context.commands()}
    word = request.arguments.lower().lstrip("/")
    if not word:
        return everything(context, list(commands.values()))
    if word not in commands:
        raise BadRequest(f'there is no command "{request.arguments}"; there are: {", ".join(commands)}')
    command = commands[word]
    return Reply(
        title=command.USAGE,
        lines=(command.SUMMARY, "For example:", *(f"  {example}" for example in command.EXAMPLES)),
        facts={"commands": [fact(command)]},
    )


def everything(context: Context, commands: list[Command]) -> Reply:
    table = (("command", "what it does"), *((command.USAGE, command.SUMMARY) for command in commands))
    lines = (
        "A name alone shows its price (gold); a condition alone sets an alert (gold > 2400).",
        "help alert, for example, shows more of one command.",
    )
    served = [msgspec.to_builtins(each) | {"aliases": list(each.aliases)} for each in context.catalogue.served()]
    facts: dict[str, object] = {"commands": [fact(command) for command in commands], "instruments": served}
    return Reply(title="What you can ask", table=table, lines=lines, facts=facts)


def fact(command: Command) -> dict[str, object]:
    return {
        "name": command.NAME,
        "usage": command.USAGE,
        "summary": command.SUMMARY,
        "examples": list(command.EXAMPLES),
    }
