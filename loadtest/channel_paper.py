"""A form on paper as Amazon Textract describes it: built block by block, as its documentation shows them."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

BOX_SIDE = 0.012


class Paper:
    """One page. `write` puts a caption and its value on it: words, or True and False for boxes, in reading order."""

    def __init__(self, seed: int = 0) -> None:
        self._line, self._next_id = 0, seed * 10_000
        self._page = self._block("PAGE", None)
        self.blocks: list[dict[str, Any]] = [self._page]

    def write(self, caption: str, *value: str | bool, confidence: float = 98.5, sure_of_words: float = 99.1) -> None:
        self._line += 1
        key = self._pair("KEY", caption.split(), confidence, sure_of_words)
        parts = [word for each in value for word in (each.split() if isinstance(each, str) else [each])]
        answer = self._pair("VALUE", parts, confidence, sure_of_words)
        key["Relationships"] = [{"Type": "VALUE", "Ids": [answer["Id"]]}, *key.get("Relationships", [])]

    def response(self) -> dict[str, Any]:
        """AnalyzeDocument's."""
        self._page["Relationships"] = [{"Type": "CHILD", "Ids": [block["Id"] for block in self.blocks[1:]]}]
        return {
            "DocumentMetadata": {"Pages": 1},
            "Blocks": self.blocks,
            "AnalyzeDocumentModelVersion": "1.0",
        }

    def body(self) -> bytes:
        return json.dumps(self.response()).encode()

    def _pair(self, entity: str, parts: Sequence[str | bool], confidence: float, of_words: float) -> dict[str, Any]:
        pair = self._block("KEY_VALUE_SET", confidence, EntityTypes=[entity])
        self.blocks.append(pair)
        children = [
            self._block("SELECTION_ELEMENT", of_words, SelectionStatus="SELECTED" if part else "NOT_SELECTED")
            if isinstance(part, bool)
            else self._block("WORD", of_words, Text=part, TextType="PRINTED" if entity == "KEY" else "HANDWRITING")
            for part in parts
        ]
        self.blocks.extend(children)
        if children:  # Textract leaves out the relationships of a value that is empty
            pair["Relationships"] = [{"Type": "CHILD", "Ids": [child["Id"] for child in children]}]
        return pair

    def _block(self, kind: str, confidence: float | None, **more: object) -> dict[str, Any]:
        self._next_id += 1
        left, top = round(0.08 + 0.1 * (self._next_id % 8), 4), round(0.05 + 0.03 * self._line, 4)
        box = {"Width": 0.09, "Height": BOX_SIDE, "Left": left, "Top": top}
        corners = [(left, top), (left + 0.09, top), (left + 0.09, top + BOX_SIDE), (left, top + BOX_SIDE)]
        return {
            "BlockType": kind,
            **({} if confidence is None else {"Confidence": confidence}),
            **more,
            "Geometry": {"BoundingBox": box, "Polygon": [{"X": round(x, 4), "Y": round(y, 4)} for x, y in corners]},
            "Id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(self._next_id))),
            "Page": 1,
        }
