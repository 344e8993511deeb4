"""The instructions that go with an exported model: what each file is, and how to use it without Crosslens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_FILES = {
    "fields.json": "how raw rows become what the model reads, field by field",
    "schema.json": "the fields of the model in order, with the number of ids of each",
    "encoders.json": "the same as Crosslens keeps it",
    "items.parquet": "the items and their ids in the model",
}


@dataclass(frozen=True, slots=True)
class ModelStory:
    """What is told of a model: title and id, the run, what it predicts, and its own files."""

    title: str
    model: str
    run: str
    outputs: Sequence[str]
    files: Sequence[str]


_ROWS = """
## Encoding a row

`fields.json` lists the fields in the order the model reads them: categorical ones first.

- A categorical field gives an id: `offset` + 0 for a missing value, + 1 for a value that is not in the list, + 2 + its
  place among `vocabulary.values` otherwise. `bins` are cut at `edges`: + 2 + the number of edges that are not greater.
- A numerical field gives (value - `mean`) / `scale`, NaN where it is missing. Absent `mean` is 0, absent `scale` 1.

The ids of all categorical fields index one table.
"""
_ITEMS = """
## Reading an answer

`items.parquet` names the item of each id. A history is a list of ids, oldest first; scores are by id.
"""
_HOW = {
    "safetensors": """
## Weights

```python
from safetensors.numpy import load_file

for name, array in load_file("model/{name}").items():
    print(name, array.dtype, array.shape)
```

`model.json` holds the parameters the network was built with; the layers and equations stand in Crosslens's page about
the model, under the same names.
""",
    "txt": """
## Trees

```python
import lightgbm

booster = lightgbm.Booster(model_file="model/{name}")
```

Its features are the local ids of the categorical fields (the id without its `offset`), then the values of the numerical
ones, in the order of `fields.json`.
""",
}


def readme(story: ModelStory, *, of_items: bool) -> str:
    """Return the instructions as Markdown."""
    known = "\n".join(f"- `{name}`: {words}" for name, words in _FILES.items() if name in story.files)
    own = "\n".join(f"- `{name}`" for name in story.files if name.startswith("model/"))
    told = "".join(
        words.replace("{name}", name.removeprefix("model/"))
        for ending, words in _HOW.items()
        for name in story.files
        if name.startswith("model/") and name.endswith(f".{ending}")
    )
    predicted = ", ".join(story.outputs)
    return (
        f"# {story.title}\n\nThe model `{story.model}` of the run `{story.run}`, exported by Crosslens. It predicts "
        f"{predicted}.\nNothing here is executed when it is read: weights are numbers, everything else is text.\n\n"
        f"## Files\n\n{known}\n{own}\n{_ITEMS if of_items else _ROWS}{told}"
    )
