"""What a row asks and what is right, where templates of a task file say it: as lm-eval reads them.

A template is a field's name, or text in which ``{{...}}`` is worked out from the row's fields by
jinja2. It comes with the task, and so from somewhere else: it is worked out in jinja2's sandbox,
where it reaches neither files nor programs and changes no row.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import jinja2
from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from samplemix_dagster.errors import InputError
from samplemix_dagster.validation.tasks.forms import (
    Fields,
    Form,
    Option,
    RefusedRowError,
    as_text,
)

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
_OUT = "write its rows out as JSON lines in one of the forms instead"


@dataclass(frozen=True)
class Template:
    """A template of a task file.

    Attributes:
        file: The file.
        key: Its key there.
        text: What stands there: a field's name, or a template.
    """

    file: str
    key: str
    text: str

    @cached_property
    def _compiled(self) -> jinja2.Template:
        try:
            return _ENVIRONMENT.from_string(self.text)
        except TemplateSyntaxError as error:
            raise InputError(
                f"{self.file}: {self.key} is no template that is read here: {error.message} "
                f"Write it with jinja2's own filters and tests, or {_OUT}."
            ) from None

    def checked(self) -> "Template":
        """Return itself.

        Raises:
            InputError: It is none that jinja2 reads by itself.
        """
        _ = self._compiled
        return self

    def of(self, row: Fields) -> object:
        """Return the field that it names, or its text for a row.

        Raises:
            RefusedRowError: The row lacks what it asks for.
            InputError: It asks for what the sandbox does not give.
        """
        if self.text in row:
            return row[self.text]
        try:
            return self._compiled.render(row)
        except UndefinedError as error:
            raise RefusedRowError(f"{self.key}: {error.message}") from None
        except SecurityError as error:
            raise InputError(
                f"{self.file}: {self.key} asks for what no task may have: {error}. Take it out, "
                f"or {_OUT}."
            ) from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise RefusedRowError(
                f"{self.key} cannot be worked out ({type(error).__name__})"
            ) from None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a task file makes an item of a row.

    Attributes:
        text: What is read.
        target: Which option is right, by its number or itself; or what is judged.
        choices: The options: texts, or a template of a list.
        description: What stands before what is read.
        delimiter: What stands between what is read and an option.
    """

    text: Template
    target: Template | int
    choices: Template | tuple[str, ...] | None
    description: Template | None
    delimiter: str

    def form(self) -> Form:
        """Return the form of the task's rows."""
        if self.choices is None:
            return Form(name="continuation", fields=(), options=self._continuation)
        return Form(name="multiple choice", fields=(), options=self._choice)

    def _continuation(self, row: Fields) -> tuple[list[Option], int]:
        return [_option(self._context(row), as_text(self._target(row), "doc_to_target"))], 0

    def _choice(self, row: Fields) -> tuple[list[Option], int]:
        choices, asked = self._choices(row), _number_of(self.text.of(row))
        if isinstance(asked, int):  # the options are read, and one and the same is judged
            judged = f"{self.delimiter}{as_text(self._target(row), 'doc_to_target')}"
            return [_option(choice, judged) for choice in choices], _within(asked, choices)
        context = self._context(row)
        options = [_option(context, f"{self.delimiter}{choice}") for choice in choices]
        return options, _within(_number_of(self._target(row)), choices)

    def _context(self, row: Fields) -> str:
        before = "" if self.description is None else self.description.of(row)
        found = f"{before}{self.text.of(row)}"
        return as_text(found, "doc_to_text") if found.strip() else found

    def _target(self, row: Fields) -> object:
        return self.target if isinstance(self.target, int) else self.target.of(row)

    def _choices(self, row: Fields) -> list[str]:
        found = self.choices.of(row) if isinstance(self.choices, Template) else self.choices
        if isinstance(found, str):
            found = _listed(found)
        if not isinstance(found, list | tuple) or len(found) < 2:
            raise RefusedRowError("doc_to_choice is no list of two texts or more")
        return [as_text(one, "doc_to_choice") for one in found]


def _listed(text: str) -> object:
    """Return the list that a template has written, as Python writes one."""
    try:
        return ast.literal_eval(text)
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return None


def _number_of(found: object) -> object:
    """Return a number that is written in digits as a number, and anything else as it is."""
    return int(found) if isinstance(found, str) and found.isdecimal() else found


def _within(right: object, choices: list[str]) -> int:
    """Return the number of the right option, which is given by its number or by itself."""
    if isinstance(right, str) and right in choices:
        return choices.index(right)
    if not isinstance(right, int) or not 0 <= right < len(choices):
        raise RefusedRowError("doc_to_target is none of the options")
    return int(right)


def _option(context: str, continuation: str) -> Option:
    """Return what is judged after a context; white space at its end is judged with what follows."""
    bare = context.rstrip()
    return Option(bare, context[len(bare) :] + continuation)


def template(file: str, row: Mapping[str, object], key: str) -> Template | None:
    """Return the template at a key of a task file; None where none is there."""
    found = row.get(key)
    return Template(file, key, found).checked() if isinstance(found, str) else None
