"""LightGBM prints; a worker's standard output belongs to its protocol."""

from __future__ import annotations

import logging

import lightgbm as lgb


def send_messages_to_log() -> None:
    """Send what LightGBM would print to the log `crosslens.lightgbm`."""
    lgb.register_logger(logging.getLogger("crosslens.lightgbm"))
