"""The Settings page: look, threads, device, folders, and what Crosslens is built on."""

from __future__ import annotations

import os
import platform
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

from PySide6.QtCore import QLocale
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from crosslens.models import DEVICES

from ..fonts import SPACE
from ..palette import Theme, apply_theme
from ..session import Session
from ..widgets.buttons import Button
from ..widgets.cards import Card
from ..widgets.labels import Elided, Muted
from ..widgets.views import roomy
from .page import Page

BUILT_ON = (
    "PySide6_Essentials", "sqlalchemy", "alembic", "pyarrow", "numpy", "scipy", "torch", "lightgbm",
    "scikit-learn", "pluggy", "cattrs", "jinja2", "safetensors",
)  # fmt: skip


class SettingsPage(Page):
    """Every change takes effect and is kept at once."""

    page_id = "settings"
    icon_name = "settings"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.theme, self.threads, self.device, self._folder = QComboBox(), QSpinBox(), QComboBox(), Elided()
        inner = QWidget()
        inner.setMaximumWidth(760)
        column = QVBoxLayout(inner)
        column.setContentsMargins(3 * SPACE, 0, 3 * SPACE, 3 * SPACE)
        column.setSpacing(2 * SPACE)
        for card in (self._make_look(), self._make_work(), self._make_about()):
            column.addWidget(card)
        column.addStretch(1)
        area = QScrollArea()
        area.setAccessibleName(self.tr("Settings"))
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    @property
    def title(self) -> str:
        """Return the translated title."""
        return self.tr("Settings")

    @property
    def purpose(self) -> str:
        """Return what the page is for."""
        return self.tr("Changes take effect at once.")

    def shown(self) -> None:
        """Show the settings as they are kept, and look up versions the first time."""
        preferences = self.session.preferences
        self.theme.setCurrentIndex(list(Theme).index(preferences.theme))
        self._folder.setText(str(preferences.projects_folder))
        if not self._versions.text():
            self._versions.setText("\n".join(_versions()))

    def _make_look(self) -> Card:
        card = Card(self.tr("Look"))
        for theme, words in (
            (Theme.SYSTEM, self.tr("As the system")),
            (Theme.LIGHT, self.tr("Light")),
            (Theme.DARK, self.tr("Dark")),
        ):
            self.theme.addItem(words, theme)
        self.theme.setAccessibleName(self.tr("Theme"))
        self.theme.setCurrentIndex(list(Theme).index(self.session.preferences.theme))
        self.theme.activated.connect(lambda _: self._choose_theme(Theme(self.theme.currentData())))
        locale = QLocale()
        region = f"{QLocale.languageToString(locale.language())} ({locale.name()})"
        roomy(self.theme)
        form = _form(card)
        form.addRow(self.tr("Theme"), self.theme)
        form.addRow(self.tr("Numbers and dates"), Muted(self.tr("as the system: {region}").format(region=region)))
        form.addRow(self.tr("Language"), Muted(self.tr("English; no other translation is installed")))
        return card

    def _make_work(self) -> Card:
        card = Card(self.tr("Work"))
        self.threads.setRange(0, max(os.cpu_count() or 1, 1))
        self.threads.setSpecialValueText(self.tr("All processors"))
        self.threads.setValue(self.session.preferences.threads)
        self.threads.setAccessibleName(self.tr("Threads of a training"))
        self.threads.valueChanged.connect(partial(setattr, self.session.preferences, "threads"))
        self._fill_devices()
        change = Button(self.tr("Change…"))
        change.setAccessibleName(self.tr("Change the folder of new projects"))
        change.clicked.connect(self._choose_folder)
        folder = QHBoxLayout()
        folder.setSpacing(SPACE)
        folder.addWidget(self._folder, 1)
        folder.addWidget(change)
        roomy(self.threads)
        roomy(self.device)
        form = _form(card)
        form.addRow(self.tr("Threads"), self.threads)
        form.addRow(self.tr("Device"), self.device)
        form.addRow("", Muted(self.tr("For trainings that start from now on."), wrap=False))
        form.addRow(self.tr("New projects"), folder)
        return card

    def _fill_devices(self) -> None:
        for device, words in zip(
            DEVICES,
            (
                self.tr("A graphics card if there is one"),
                self.tr("Processor"),
                self.tr("NVIDIA card (CUDA)"),
                self.tr("Apple card (MPS)"),
            ),
            strict=True,
        ):
            self.device.addItem(words, device)
        self.device.setAccessibleName(self.tr("Device of a training"))
        self.device.setCurrentIndex(DEVICES.index(self.session.preferences.device))
        self.device.activated.connect(lambda _: setattr(self.session.preferences, "device", self.device.currentData()))

    def _make_about(self) -> Card:
        card = Card(self.tr("About"))
        about = QLabel(
            self.tr("Crosslens {version}, MIT licence. It works offline and sends nothing anywhere.").format(
                version=version("crosslens")
            )
        )
        about.setWordWrap(True)
        card.body.addWidget(about)
        self._versions = Muted(wrap=True)
        card.body.addWidget(Muted(self.tr("Built on, each under its own licence:")))
        card.body.addWidget(self._versions)
        copy = Button(self.tr("Copy"), icon_name="copy")
        copy.setAccessibleName(self.tr("Copy versions"))
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._versions.text()))
        line = QHBoxLayout()
        line.addWidget(copy)
        line.addStretch(1)
        card.body.addLayout(line)
        return card

    def _choose_theme(self, theme: Theme) -> None:
        self.session.preferences.theme = theme
        apply_theme(theme)

    def _choose_folder(self) -> None:
        preferences = self.session.preferences
        title = self.tr("Where new projects go")
        path = QFileDialog.getExistingDirectory(self, title, str(preferences.projects_folder))
        if path:
            preferences.projects_folder = Path(path)
            self._folder.setText(path)


def _form(card: Card) -> QFormLayout:
    form = QFormLayout()
    form.setHorizontalSpacing(3 * SPACE)
    form.setVerticalSpacing(SPACE)
    card.body.addLayout(form)
    return form


def _versions() -> list[str]:
    lines = [f"Python {platform.python_version()} (PSF) on {platform.system()} {platform.machine()}"]
    for name in BUILT_ON:
        try:
            lines.append(f"{name} {version(name)} ({_licence(name)})")
        except PackageNotFoundError:
            lines.append(f"{name}: not installed")
    return lines


def _licence(name: str) -> str:
    about = metadata(name)
    words = about.get("License-Expression") or about.get("License") or ""
    if words and "\n" not in words and len(words) < 60:
        return words
    classifiers = [line for line in about.get_all("Classifier") or () if line.startswith("License ::")]
    return classifiers[0].rsplit("::", 1)[-1].strip() if classifiers else "see its documentation"
