"""Questions before strangers' code is let in: what a file is, and whether changed files may be used."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QMessageBox, QVBoxLayout, QWidget

from core.commands import PluginOffer
from core.plugins.rows import PluginRow
from crosslens._sizes import format_bytes

from ..fonts import SPACE
from ..widgets.labels import Badge, Title
from .plugins_cards import facts_grid


class InstallQuestion(QDialog):
    """Says what a file is and that nothing holds a plugin back; Cancel is what Enter does."""

    def __init__(self, offer: PluginOffer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.offer = offer
        self.setWindowTitle(self.tr("Install a plugin"))
        self.setMinimumWidth(560)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * SPACE, 3 * SPACE, 3 * SPACE, 2 * SPACE)
        layout.setSpacing(2 * SPACE)
        words = self.tr("Replace {former} by {version}?") if offer.replaces else self.tr("Install {name} {version}?")
        layout.addWidget(Title(words.format(name=offer.name, version=offer.version, former=offer.replaces)))
        if offer.summary:
            layout.addWidget(_plain(offer.summary))
        layout.addLayout(facts_grid(self.facts()))
        layout.addLayout(self._make_warning())
        layout.addStretch(1)
        layout.addWidget(self._make_buttons())

    def facts(self) -> list[tuple[str, str]]:
        """Return what somebody agrees to, name and value."""
        offer = self.offer
        size = self.tr("{count} files, {size} unpacked").format(
            count=f"{offer.files:,}", size=format_bytes(offer.unpacked)
        )
        unsaid = self.tr("not said")
        facts = [
            (self.tr("File"), offer.path.name),
            (self.tr("Author"), ", ".join(offer.authors) or unsaid),
            (self.tr("Licence"), offer.licence or unsaid),
            (self.tr("Brings"), ", ".join(offer.models)),
            (self.tr("Shares with the app"), ", ".join(offer.shared)),
            (self.tr("Has for itself"), ", ".join(offer.private)),
            (self.tr("Says it uses"), ", ".join(offer.capabilities)),
            (self.tr("Replaces"), offer.replaces),
            (self.tr("Size"), size),
            (self.tr("SHA-256"), f"{offer.sha256[:32]} {offer.sha256[32:]}"),
        ]
        return [(name, value) for name, value in facts if value]

    def showEvent(self, event: QShowEvent) -> None:
        """Begin at Cancel: neither Enter nor the space bar lets a stranger in by accident."""
        super().showEvent(event)
        self.cancel.setFocus()

    def _make_warning(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(SPACE)
        line.addWidget(Badge(self.tr("unknown"), tone="warn", icon_name="warn"), 0, Qt.AlignmentFlag.AlignTop)
        words = self.tr("It runs with your full permissions; it is not sandboxed. Install only what you trust.")
        line.addWidget(_plain(words), 1)
        return line

    def _make_buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox()
        words = self.tr("Replace") if self.offer.replaces else self.tr("Install")
        self.install = box.addButton(words, QDialogButtonBox.ButtonRole.AcceptRole)
        self.cancel = box.addButton(self.tr("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        self.install.setAutoDefault(False)
        self.cancel.setDefault(True)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        return box


class ChangedQuestion(QMessageBox):
    """Asks whether a plugin whose files were changed may be used as it is now."""

    def __init__(self, row: PluginRow, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Warning)
        self.setWindowTitle(self.tr("Use a changed plugin"))
        self.setText(self.tr("Use {name} as it is now?").format(name=row.name))
        self.setInformativeText(
            self.tr("{what} If you did not do that yourself, remove the plugin and install it again.").format(
                what=row.sentence
            )
        )
        self.setDetailedText(row.details)
        self.use_button = self.addButton(self.tr("Use it"), QMessageBox.ButtonRole.AcceptRole)
        self.cancel_button = self.addButton(self.tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.cancel_button)
        self.setEscapeButton(self.cancel_button)


def _plain(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
