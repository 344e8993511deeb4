"""What plugin authors use: a working plugin to start from, a verdict on it, and the file they give away.

new.py     writes a plugin from templates/
check.py   runs everything the app relies on and says it on one page
bundle.py  builds the wheel and packs it with what it needs
"""
