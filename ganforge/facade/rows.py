"""The log of a run as a list that pandas can take over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganforge.api import UserError

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]


class Rows(list[dict[str, Any]]):
    """Rows of metrics.jsonl: `images_seen`, and `loss/d`, `metric/...` as far as a row has them."""

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame indexed by `images_seen`, a column per key. Raises `UserError` without pandas."""
        try:
            import pandas as pd
        except ImportError:
            raise UserError("a DataFrame needs pandas: pip install pandas") from None
        frame = pd.DataFrame(list(self))
        return frame.set_index("images_seen") if "images_seen" in frame else frame

    def _repr_html_(self) -> str | None:
        """A notebook's table; None, for the list as text, without pandas."""
        try:
            frame = self.to_frame()
        except UserError:
            return None
        html: str = frame.to_html(max_rows=12, max_cols=20, border=0, float_format="{:.4g}".format)
        return html

    def column(self, key: str) -> tuple[list[int], list[float]]:
        """The images seen and the values of the rows that have `key`, such as `loss/g`."""
        found = [(row["images_seen"], row[key]) for row in self if row.get(key) is not None]
        return [seen for seen, _ in found], [value for _, value in found]
