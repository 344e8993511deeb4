"""The model of the guide, taken from its code block."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

GUIDE = Path(__file__).parents[2] / "docs" / "plugins" / "writing-a-model.md"
NAME = "guide_model"


def guide_code() -> str:
    code, *_ = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(code)


def guide_module(folder: Path) -> ModuleType:
    """Write the code block as a module into `folder`, put that on the path, and import it anew."""
    (folder / f"{NAME}.py").write_text(guide_code(), encoding="utf-8")
    module = ModuleType(NAME)
    module.__file__ = str(folder / f"{NAME}.py")
    sys.modules[NAME] = module
    exec(compile(guide_code(), module.__file__, "exec"), module.__dict__)
    return module
