"""The words of the shop: values of its fields, with how often they occur and the codes of the planted interactions.

A code says on which side of an interaction a value stands, from -1 to +1; 0 is indifferent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosslens.data import Float64Array


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one field: names, how often each occurs, and codes for planted interactions."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    codes: tuple[float, ...]

    @property
    def probabilities(self) -> Float64Array:
        """Return the share of each value."""
        return np.asarray(self.weights, dtype=np.float64) / sum(self.weights)


def _values(*rows: tuple[str, float, float]) -> Values:
    names, weights, codes = zip(*rows, strict=True)
    return Values(tuple(names), tuple(weights), tuple(codes))


SEGMENT = _values(
    ("Trend seekers", 0.18, 1.0),
    ("Bargain hunters", 0.24, -0.5),
    ("Loyal regulars", 0.20, 0.1),
    ("Families", 0.20, -1.0),
    ("Gift givers", 0.18, 0.7),
)
REGION = _values(
    ("Lisbon North", 0.18, 1.0),
    ("Lisbon South", 0.14, 0.8),
    ("Porto", 0.18, 0.6),
    ("Braga", 0.12, -0.4),
    ("Coimbra", 0.11, 0.1),
    ("Évora", 0.08, -1.0),
    ("Faro", 0.11, -0.7),
    ("Madeira", 0.08, -0.9),
)
AGE_BAND = _values(
    ("18-24", 0.16, 1.0),
    ("25-34", 0.24, 0.9),
    ("35-44", 0.22, 0.2),
    ("45-54", 0.17, -0.6),
    ("55-64", 0.12, -1.0),
    ("65+", 0.09, -1.0),
)
DEVICE = _values(("Mobile", 0.58, 1.0), ("Desktop", 0.32, -1.0), ("Tablet", 0.10, -0.2))
CHANNEL = _values(
    ("Search", 0.30, -0.8),
    ("Social", 0.22, 1.0),
    ("Email", 0.18, -1.0),
    ("Direct", 0.20, 0.2),
    ("Partner sites", 0.10, 0.8),
)
WEEKEND = _values(("0", 5.0, -1.0), ("1", 2.0, 1.0))
CATEGORY = _values(
    ("Dresses", 0.10, 1.0),
    ("Shoes", 0.11, 0.8),
    ("Bags", 0.08, 0.9),
    ("Jewellery", 0.07, 0.9),
    ("Beauty", 0.09, 0.6),
    ("Headphones", 0.08, 0.3),
    ("Sportswear", 0.09, -0.1),
    ("Books", 0.08, -0.4),
    ("Kitchen", 0.08, -0.8),
    ("Garden", 0.06, -0.9),
    ("Toys", 0.09, -1.0),
    ("Baby care", 0.07, -1.0),
)
TIER = _values(("Value", 0.35, -1.0), ("Classic", 0.40, 0.0), ("Premium", 0.25, 1.0))
PRICE_BAND = _values(
    ("Under 20", 0.30, -1.0),
    ("20 to 50", 0.32, -0.4),
    ("50 to 100", 0.23, 0.5),
    ("Over 100", 0.15, 1.2),
)
OBJECTIVE = _values(("Awareness", 0.30, 0.0), ("Traffic", 0.30, 0.0), ("Sales", 0.25, 0.0), ("Loyalty", 0.15, 0.0))

PRICE_RANGES = ((4, 20), (20, 50), (50, 100), (100, 260))
"""Whole prices of each band, from and below."""

PRODUCTS = (
    ("Wrap Dress", "Linen Dress", "Maxi Dress", "Shirt Dress"),
    ("Trainers", "Ankle Boots", "Loafers", "Sandals"),
    ("Tote Bag", "Backpack", "Crossbody Bag", "Clutch"),
    ("Necklace", "Hoop Earrings", "Bracelet", "Signet Ring"),
    ("Face Serum", "Lipstick Set", "Hand Cream", "Eau de Toilette"),
    ("Over-Ear Headphones", "Earbuds", "Studio Headphones", "Sport Earphones"),
    ("Running Tights", "Rain Jacket", "Training Top", "Cycling Shorts"),
    ("Cookbook", "Novel", "Travel Guide", "Photo Book"),
    ("Cast-Iron Pan", "Knife Set", "Mixing Bowl", "Coffee Maker"),
    ("Garden Lantern", "Herb Planter", "Folding Chair", "Watering Can"),
    ("Building Blocks", "Wooden Train", "Puzzle", "Plush Bear"),
    ("Baby Blanket", "Bottle Set", "Sleep Bag", "Bath Towel"),
)
"""Nouns for titles, by category."""

STYLES = ("Coastal", "Everyday", "Studio", "Heritage", "Nordic", "Weekend", "Atlantic", "Soft", "Bold", "Field")

BRANDS = (
    "Alvora",
    "Bracara",
    "Casa Lume",
    "Duna",
    "Estrela & Co",
    "Farol",
    "Gaivota",
    "Horta Nova",
    "Ilha",
    "Jardim Alto",
    "Kora",
    "Linho",
    "Maré",
    "Norte 41",
    "Oliva",
    "Praia Norte",
    "Quinta Real",
    "Ribeira",
    "Serra",
    "Tejo",
    "Uva Mar",
    "Vento",
    "Xisto",
    "Zimbro",
    "Amparo",
    "Boa Vista",
    "Calma",
    "Douro",
    "Encosta",
    "Foz",
    "Granito",
    "Herdade",
    "Íris",
    "Junco",
    "Laranja",
    "Monte Claro",
    "Nascente",
    "Orla",
    "Pinhal",
    "Rosmaninho",
)

CAMPAIGNS = (
    ("Spring Arrivals", 0),
    ("Brand Stories", 0),
    ("Made in Portugal", 0),
    ("Weekly Picks", 1),
    ("Back in Stock", 1),
    ("New This Month", 1),
    ("Trending Now", 1),
    ("Final Markdown", 2),
    ("Free Delivery Days", 2),
    ("Bundle and Save", 2),
    ("Members First", 3),
    ("Birthday Treat", 3),
)
"""Names of campaigns, with the position of their objective."""
