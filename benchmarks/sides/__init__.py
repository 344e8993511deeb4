"""Programs that train one model each and take turns: ours, and its peers in an environment of their own.

Each is run as a file by its own interpreter, so a peer needs nothing of Crosslens installed, nor we of it.
"""
