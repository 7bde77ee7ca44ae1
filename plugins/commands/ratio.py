"""`ratio gold silver 90d`: how many of the second one of the first costs, over time."""

from charts import words
from hub.model import Argument, Reply, Request, Role
from hub.plugin import BadRequest, Context
from plugins.commands.chart import drawn

USAGE = "ratio gold silver [90d] [ma20 ema50 bollinger rsi] [dark]"
SUMMARY = "How many of the second one of the first costs, over time."
EXAMPLES = ("ratio gold silver", "ratio gold silver 90d ma20")
ARGUMENTS = (
    Argument(name="instrument", about="how much of this", kind="instrument", required=True, example="gold"),
    Argument(name="other", about="in this", kind="instrument", required=True, example="silver"),
    Argument(name="span", about="how far back", kind="span", example="90d"),
    Argument(name="indicators", about="ma20 ema50 bollinger rsi", example="ma20"),
)
ROLE = Role.GUEST


async def run(context: Context, request: Request) -> Reply:
    wanted = words.read(request.arguments, context.catalogue.find)
    if len(wanted.instruments) != 2:
        raise BadRequest(f"a ratio is of two instruments, not of {len(wanted.instruments)}: write ratio gold silver")
    if wanted.kind or wanted.volume:
        raise BadRequest("a ratio is drawn as a line: candles, areas and volumes belong to chart")
    return await drawn(context, request, wanted, "ratio", "ratio")
