"""Junk of web pages: what stands around the text, and what stands there for search engines.

The words are the source's own content words and a small list of what sites say about themselves.
"""

from collections.abc import Iterator, Sequence

from samplemix_dagster.core.junk.kind import Junk
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import Material

_TEXTS_PER_SITE = 40
_SITE_WORDS = (
    "Home", "About us", "Contact", "Log in", "Register", "My account", "Cart (0)", "Search",
    "Site map", "Help", "FAQ", "News", "Blog", "Archive", "Forum", "Downloads", "Gallery",
    "Newsletter", "RSS", "Jobs", "Press", "Advertise", "Shop", "Categories", "Tags", "Top 10",
    "Recent posts", "Popular", "Related", "Print this page", "Send to a friend", "Back to top",
    "Skip to content", "English", "Deutsch", "Français", "Follow us", "Share on Facebook",
)  # fmt: skip
_FOOTER = (
    "Privacy policy", "Terms of use", "Imprint", "Cookies", "Accessibility", "Report a problem",
    "All rights reserved.", "Powered by WordPress", "Best viewed at 1024x768", "Mobile version",
)  # fmt: skip
_TRADE_WORDS = (
    "buy", "cheap", "best", "online", "price", "prices", "free", "download", "review", "reviews",
    "sale", "discount", "near me", "top 10", "2019", "for sale", "shop", "order", "where to buy",
    "how to", "tips", "deal", "coupon", "wholesale",
)  # fmt: skip
_BETWEEN_MENU = ("\n", "\n", " | ", "\n* ", " » ", "\n- ")
_BETWEEN_PHRASES = (", ", ", ", " | ", "\n", " - ", ". ")
_TAGS = ("div", "span", "li", "td", "p", "a", "ul", "section", "h3", "button")
_MOST_LINES = 100_000


def _capital(words: list[str]) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in words)


def _up_to(lines: Iterator[str], length: int) -> list[str]:
    """Return lines until they have so many characters together; at least one."""
    found: list[str] = []
    for line in lines:
        found.append(line)
        length -= len(line) + 1
        if length <= 0:
            break
    return found


class Menus:
    """Navigation and footers without the page between them.

    It imitates what is left where an extractor took the frame of a page for its text. The source
    has a site for every forty texts; pages of one site have its menu and its footer, and differ in
    lists of titles, as pages of a real site do.
    """

    name = "menus"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a page: the site's menu, where one is, titles, the site's footer."""
        sites = max(2, len(material.texts) // _TEXTS_PER_SITE)
        site = material.luck.of("site", luck.number("site", 0, sites))
        words = material.content_words
        menu = self._menu(site, words)
        footer = self._footer(site, words)
        trail = " > ".join(["Home", *map(str.title, luck.picks("trail", words, 3))])
        taken = len(menu) + len(footer) + len(trail)
        titles = _up_to(self._titles(luck, words), material.length(luck) - taken)
        return Junk("\n".join([menu, trail, *titles, footer]))

    def _menu(self, site: Luck, words: Sequence[str]) -> str:
        own = [_capital([word]) for word in site.picks("topics", words, site.number("n", 6, 30))]
        entries = [*site.picks("entries", _SITE_WORDS, site.number("m", 8, 24)), *own]
        order = site.order("order", len(entries))
        return site.pick("between", _BETWEEN_MENU).join(entries[place] for place in order)

    def _footer(self, site: Luck, words: Sequence[str]) -> str:
        name = _capital(site.picks("name", words, 2))
        year = site.number("year", 1998, 2024)
        entries = [_FOOTER[place] for place in site.order("footer", len(_FOOTER))[:6]]
        return site.pick("between", _BETWEEN_MENU).join([*entries, f"© {year} {name}"])

    def _titles(self, luck: Luck, words: Sequence[str]) -> Iterator[str]:
        for number in range(_MOST_LINES):
            own = luck.of("title", number)
            title = _capital(own.picks("words", words, own.number("length", 1, 4)))
            form = own.number("form", 0, 4)
            yield (
                f"{title} ({own.number('count', 1, 400)})",
                f"{title} - Read more",
                title,
                f"Comments ({own.number('count', 0, 90)}) | {own.pick('site', _SITE_WORDS)}",
            )[form]


class Keywords:
    """Few words of the source beside words of trade, in phrase after phrase.

    It imitates pages that are written for search engines: keyword stuffing and doorway pages.
    """

    name = "keywords"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return phrases of two to five words over three to eight subjects."""
        subjects = luck.picks("subjects", material.content_words, luck.number("count", 3, 9))
        phrases = _up_to(self._phrases(luck, subjects), material.length(luck))
        return Junk(luck.pick("between", _BETWEEN_PHRASES).join(phrases))

    def _phrases(self, luck: Luck, subjects: Sequence[str]) -> Iterator[str]:
        for number in range(_MOST_LINES):
            own = luck.of("phrase", number)
            words = [
                *own.picks("subjects", subjects, own.number("n", 1, 3)),
                *own.picks("trade", _TRADE_WORDS, own.number("m", 1, 3)),
            ]
            yield " ".join(words[place] for place in own.order("order", len(words)))


class Markup:
    """Tags with hardly a word between them, or scripts and style sheets.

    It imitates pages whose text could not be told from their code.
    """

    name = "markup"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return lines of one form: tags, script or style."""
        form = luck.pick("form", (_tag_line, _script_line, _style_line))
        words = material.content_words
        lines = (form(luck.of("line", number), words) for number in range(_MOST_LINES))
        return Junk("\n".join(_up_to(lines, material.length(luck))))


def _tag_line(luck: Luck, words: Sequence[str]) -> str:
    outer, inner = luck.pick("outer", _TAGS), luck.pick("inner", _TAGS)
    own = luck.picks("words", words, 3)
    return (
        f'<{outer} class="{own[0]}-{luck.number("n", 1, 99)} col" id="{own[1]}_{inner}">'
        f' <{inner} data-id="{luck.number("id", 1, 10**6)}">{own[2]}</{inner}> </{outer}>'
    )


def _script_line(luck: Luck, words: Sequence[str]) -> str:
    a, b, c = luck.picks("names", "abcdefghijkmnopqrstuvwxyz", 3)
    own, number = luck.pick("word", words), luck.number("n", 0, 999)
    return luck.pick(
        "form",
        (
            f"function {a}{number}({b},{c}){{ var {a}={b}[{number}]; return {a}&&{c}.push({a}) }}",
            f'if({a}.{b}!=={number}){{ {c}("{own}",{{ {a}:{number},{b}:!0 }}) }} else {{ {b}() }}',
            f'var {a}={b}||{{}}; {a}["{own}"]=function({c}){{ return {c}*{number} }};',
        ),
    )


def _style_line(luck: Luck, words: Sequence[str]) -> str:
    own = luck.pick("word", words)
    colour = luck.number("colour", 0, 1 << 24)
    return (
        f".{own}-{luck.number('n', 1, 99)} > {luck.pick('tag', _TAGS)} {{ color: #{colour:06x}; "
        f"margin: 0 {luck.number('m', 0, 40)}px; float: {luck.pick('float', ('left', 'right'))} }}"
    )
