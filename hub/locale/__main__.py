"""`python -m hub.locale`: every catalogue brought up to date with what the code says."""

from hub.i18n import DOMAIN, LOCALE
from hub.locale import HEAD, update

if __name__ == "__main__":
    for language in HEAD:
        path = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
        count, missing = update(path, language)
        print(f"{path.relative_to(LOCALE.parent)}: {count} texts, {missing} not translated")
