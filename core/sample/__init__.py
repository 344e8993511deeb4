"""A synthetic shop whose truth is known: what drives its clicks and conversions was planted, so claims can be checked.

Every impression belongs to a session of a user and shows an item of a campaign. It is clicked with probability
c = sigmoid(a); z*, whether it would convert if clicked, is drawn with r = sigmoid(b) for every impression:

    g_v = s_i + u_v + sum beta x + sum B_k I_k(x)
    g_c = q_i + u_c + sum alpha x + sum A_k I_k(x) - delta log(position)
    b   = beta0 + g_v + gamma h
    a   = alpha0 + sqrt(1 - kappa^2) std(g_c) S + kappa std(g_v) S + gamma h          S: standard deviation of g_c
    y ~ Bernoulli(c),  conversion z = y z*

The database holds what a shop would know; c, r and z* are written beside it and never read by the app.
"""

from .funnel import DECOYS, PlantedInteraction
from .presets import PRESETS, Preset
from .recipe import shop_recipe
from .shop import Shop, generate_shop

__all__ = ["DECOYS", "PRESETS", "PlantedInteraction", "Preset", "Shop", "generate_shop", "shop_recipe"]
