"""What Slack asks of a call before it looks at it: scopes, arguments, and how they are sent. Pure."""

SCOPES = frozenset(
    ("chat:write", "commands", "users:read", "channels:read", "groups:read", "im:write", "im:history", "files:write",
     "app_mentions:read")
)  # fmt: skip
NEEDS = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "users.info": "users:read",
    "conversations.info": "channels:read",
    "conversations.open": "im:write",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
}
REQUIRED = {
    "chat.postMessage": ("channel",),
    "chat.postEphemeral": ("channel", "user"),
    "chat.update": ("channel", "ts"),
    "views.open": ("trigger_id", "view"),
    "views.publish": ("user_id", "view"),
    "users.info": ("user",),
    "conversations.info": ("channel",),
    "conversations.open": ("users",),
    "files.getUploadURLExternal": ("filename", "length"),
    "files.completeUploadExternal": ("files",),
}
NO_JSON = frozenset(("users.info", "conversations.info", "files.getUploadURLExternal", "files.completeUploadExternal"))
"""Methods that read their arguments from a form only; JSON is passed over, and then they are missing."""
