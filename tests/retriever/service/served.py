"""Texts that a page has to show as they are."""

from __future__ import annotations

NASTY = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\"> fox & \u202ered"

DOCUMENTS = {
    "d1": "red fox",
    "d2": "blue whale",
    "d3": NASTY,
    "d4": "the green tree " + "of old stone " * 100 + "and a fox at its end",
    "<b>d5</b>": "old red stone",
}
