"""`compare gold silver btc 30d`: how several prices moved, in percent of their common start."""

from charts import words
from hub.model import Argument, Reply, Request, Role
from hub.plugin import BadRequest, Context
from plugins.commands.chart import drawn

USAGE = "compare gold silver [btc …] [24h] [dark] [in eur]"
SUMMARY = "How several prices moved, in percent of their common start, in one picture."
EXAMPLES = ("compare gold silver", "compare gold silver btc 30d", "compare gold btc 1y dark")
ARGUMENTS = (
    Argument(name="instruments", about="two or more", kind="instruments", required=True, example="gold silver btc"),
    Argument(name="span", about="how far back", kind="span", example="30d"),
)
ROLE = Role.GUEST


async def run(context: Context, request: Request) -> Reply:
    wanted = words.read(request.arguments, context.catalogue.find)
    if len(wanted.instruments) < 2:
        raise BadRequest(f"compare needs two instruments: write compare {request.arguments} and another one")
    if wanted.kind or wanted.averages or wanted.bollinger or wanted.rsi or wanted.volume:
        raise BadRequest("compare draws lines in percent: averages, bands, volumes and kinds belong to chart")
    return await drawn(context, request, wanted, "compare", "compare")
