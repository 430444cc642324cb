"""A study's answer as a fragment of HTML, for notebooks."""

from html import escape

from jcnn.analysis.answer import Answer
from jcnn.analysis.table import ranking_table


def to_html(answer: Answer) -> str:
    """The verdict, and the ranking as a table; every text of the user's is escaped."""
    table = ranking_table(answer)
    head = "".join(f"<th>{escape(column.title)}</th>" for column in table.columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell.text)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    sentence = answer.verdict if answer.rows else "No combination could be trained to the end."
    table_html = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p>{escape(sentence)}</p>{table_html}"
