"""Columns of files to values, as engine expressions: by the type that is wanted and the type that the file has.

Each function gives the values and which texts are none: what cannot be read becomes missing and is pointed out,
never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from therapyeval.data import schema

NOT_A_DATE = "(not a date)"
WHOLE = 1e15  # a decimal number below it that is whole is written without a point
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_ISO = r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,]\d+)?\s?(Z|[+-]\d{2}:?\d{2})?)?$"
YES_NO = {"yes": "yes", "y": "yes", "true": "yes", "t": "yes", "1": "yes",
          "no": "no", "n": "no", "false": "no", "f": "no", "0": "no"}


def to_text(column):
    """Text; that of files comes without surrounding spaces, and missing where it is empty."""
    import ibis

    if column.type().is_string():
        return column
    if column.type().is_floating():
        whole = (column == column.floor()) & (column.abs() < WHOLE)
        return ibis.ifelse(whole.fill_null(False), column.try_cast("int64").cast("string"), column.cast("string"))
    return column.cast("string")


def to_number(column):
    """Numbers (float), and which texts are not one. Infinity is not a number."""
    import ibis

    text = column
    if column.type().is_numeric():
        number = column.cast("float64")
    else:
        text = to_text(column)
        number = ibis.ifelse(text.re_search(_NUMBER), text.try_cast("float64"), None)
    if column.type().is_integer():
        return number, ibis.literal(False)
    number = ibis.ifelse(number.isnan() | number.isinf(), None, number)
    return number, text.notnull() & number.isnull()


def to_code(column, codes: Collection[str]):
    """Codes as the list writes them (capitals do not matter), and which texts are not on the list."""
    return _to_word(column, {code.lower(): code for code in codes})


def to_yes_no(column):
    """ "yes" or "no", and which texts are neither."""
    return _to_word(column, YES_NO)


def translated(text, words: Mapping[str, str]):
    """Codes in words; a code that is not listed stays as it is, one that stands for "" is missing."""
    return text.cases(*words.items(), else_=text).nullif("") if words else text


def _to_word(column, known: Mapping[str, str]):
    import ibis

    text = to_text(column)
    word = text.lower().cases(*known.items()) if known else ibis.null("string")
    return word, text.notnull() & word.isnull()


def to_date(column):
    """Calendar days as written, and which texts are not an ISO date.

    Impossible days and placeholders outside 1900 to 2099 are not dates.
    """
    given, day = _day(column)
    return day, given.notnull() & day.isnull()


def _day(column):
    """What is given, and its day."""
    import ibis

    if column.type().is_date() or column.type().is_timestamp():
        given, day = column, column.cast("date")
    else:
        given = to_text(column)
        day = ibis.ifelse(given.re_search(_ISO), given.substr(0, 10).try_cast("date"), None)
    known = day.between(ibis.date(schema.OLDEST), ibis.date(schema.NEWEST))
    return given, ibis.ifelse(known, day, None)


def to_datetime(column):
    """Dates with or without a time of day, and which texts are neither.

    Returns
    -------
    (dict, expression)
        "" (timestamp as written, to the second; midnight where there is no time), "_has_time" (boolean), "_offset"
        (minutes east of Greenwich where the text says so, else missing).
    """
    import ibis

    given, day = _day(column)
    has_time, offset = ibis.literal(False), ibis.null("int32")
    wall = day.cast("timestamp")
    if column.type().is_timestamp():
        has_time = ibis.literal(True)
        offset = ibis.literal(0, "int32") if column.type().timezone else offset
        wall = ibis.ifelse(day.notnull(), column.cast("timestamp(6)").truncate("s"), None)
    elif not column.type().is_date():
        clock, zone = given.re_extract(_ISO, 2), given.re_extract(_ISO, 3)
        has_time = (clock != "").fill_null(False)
        timed = ibis.ifelse(clock < "24", (given.substr(0, 10) + " " + clock).try_cast("timestamp"), None)
        wall = ibis.ifelse(day.notnull(), ibis.ifelse(has_time, timed, wall), None)
        minutes = 60 * zone.substr(1, 2).try_cast("int32") + zone.right(2).try_cast("int32")
        offset = ibis.cases((zone == "Z", 0), (zone.startswith("-"), -minutes), else_=minutes)
    return ({"": wall.cast("timestamp(6)"), "_has_time": has_time & wall.notnull(), "_offset": offset},
            given.notnull() & wall.isnull())
