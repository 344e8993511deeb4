"""The language of the window. The sources are English; the English catalogue only holds the plural forms.

After a change of translations/crosslens_en.ts: `pyside6-lrelease crosslens_en.ts -qm crosslens_en.qm`.
"""

from __future__ import annotations

from importlib import resources

from PySide6.QtCore import QCoreApplication, QLocale, QTranslator

CATALOGUE = "crosslens_en.qm"


def install_language(application: QCoreApplication) -> None:
    """Give the application plural forms, and readable numbers where the system names no region."""
    if QLocale().language() is QLocale.Language.C:
        QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedKingdom))
    if application.findChild(QTranslator) is None:
        translator = QTranslator(application)
        catalogue = resources.files(__package__).joinpath("translations", CATALOGUE)
        with resources.as_file(catalogue) as file:
            translator.load(str(file))
        application.installTranslator(translator)
