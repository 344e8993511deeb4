"""The built-in models; they speak crosslens and torch or LightGBM, never the app."""
