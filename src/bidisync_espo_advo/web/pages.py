"""Pages from the packaged templates, in the reader's language; everything put into one is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import attrs
from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from bidisync.clock import local_text, utc_seconds, utc_text
from bidisync_espo_advo.web.sessions import Session

LANGUAGES = {"en": "English", "de": "Deutsch"}
LANGUAGE_COOKIE = "espo_advo_language"
REFRESH = "X-Refresh"
"""With this header an open page asks for itself again: messages are left to the page that somebody opens."""
YEAR_S = 365 * 24 * 3600


@attrs.frozen
class Words:
    """The texts of one language by key; a code that has no text is shown as it is."""

    language: str
    texts: Mapping[str, str] = attrs.field(repr=False)
    zone: str = "Europe/Berlin"

    def __call__(self, key: str, **values: object) -> str:
        """The text of this key, with these values in their places."""
        return self.texts[key].format(**values)

    def of(self, kind: str, code: str) -> str:
        """The plain words for a code of that kind."""
        start = code.partition(":")[0]
        return self.texts.get(f"{kind}.{code}") or self.texts.get(f"{kind}.{start}") or code

    def count(self, key: str, number: int) -> str:
        """The text for one or for several."""
        return self(f"{key}.one" if number == 1 else f"{key}.many", n=self.number(number))

    def number(self, value: float) -> str:
        """A number as it is written in this language."""
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
        return text.translate(str.maketrans(",.", ".,")) if self.language == "de" else text

    def seconds(self, value: float) -> str:
        """How long something took or waits, roughly."""
        for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
            if value >= 2 * size:
                return self(f"span.{unit}", n=self.number(int(value // size)))
        return self("span.s", n=self.number(int(value) if value >= 10 else round(float(value), 1)))

    def moment(self, at: float) -> str:
        """A time by the clocks of the firm."""
        date, _, clock = local_text(at, self.zone).partition("T")
        year, month, day = date.split("-")
        return f"{day}.{month}.{year}, {clock}" if self.language == "de" else f"{date} {clock}"

    def both(self, sides: Sequence[str]) -> str:
        """The names of one side or both."""
        return self("record.and").join(self(side) for side in sides)

    def utc(self, text: str) -> str:
        """The same for a time that is written in UTC."""
        return self.moment(utc_seconds(text))

    def iso(self, at: float) -> str:
        """A time for programs."""
        return utc_text(at).replace(" ", "T") + "Z"


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of one language, English where it lacks one."""
    folder = resources.files(__package__) / "words"
    read = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in {"en", language}}
    return {**read["en"], **read[language]}


@attrs.frozen
class Pages:
    """The templates; ``zone`` is where the clocks of the readers are."""

    zone: str = "Europe/Berlin"
    _templates: Environment = attrs.field(
        factory=lambda: Environment(
            loader=PackageLoader("bidisync_espo_advo.web"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        ),
        repr=False,
    )

    def words(self, request: web.Request) -> Words:
        """The texts for whoever asks."""
        language = language_of(request)
        return Words(language, texts(language), self.zone)

    def answer(
        self, request: web.Request, name: str, *, status: int = 200, session: Session | None = None, **context: Any
    ) -> web.Response:
        """A page; what was asked for in ``?lang=`` is remembered."""
        words = self.words(request)
        known = {
            "t": words,
            "languages": LANGUAGES,
            "path": request.path,
            "csrf": "" if session is None else session.csrf,
            "told": [] if session is None or REFRESH in request.headers else session.heard(),
            "signed_in": session is not None,
            **context,
        }
        text = self._templates.get_template(name).render(known)
        response = web.Response(status=status, text=text, content_type="text/html")
        if "lang" in request.query:
            remember_language(response, words.language)
        return response


def language_of(request: web.Request) -> str:
    """The language that a reader chose, else the first that the browser asks for and we have."""
    for chosen in (request.query.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return chosen
    wanted = []
    for place, part in enumerate(request.headers.get("Accept-Language", "").split(",")[:20]):
        name, _, quality = part.partition(";q=")
        try:
            wanted.append((-float(quality or 1), place, name.strip()[:2].lower()))
        except ValueError:
            continue
    return next((name for weight, _, name in sorted(wanted) if name in LANGUAGES and weight < 0), "en")


def remember_language(response: web.Response, language: str) -> None:
    """Keep the choice for a year, for every page of the site."""
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, httponly=True, samesite="Strict", path="/")
