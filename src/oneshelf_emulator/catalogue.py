"""The goods on the shelf: a seeded demo catalogue, or one from a file.

In: a size and a seed, or a JSON file. Out: products. Never: touches a marketplace.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from .world import Product

#: (SKU stem, noun, lowest and highest price in cents)
_GOODS = (
    ("MUG", "Stoneware Mug", 1200, 3200),
    ("BOWL", "Breakfast Bowl", 1400, 3600),
    ("CNDL", "Soy Candle", 900, 2800),
    ("TOTE", "Canvas Tote", 1500, 3900),
    ("NOTE", "Linen Notebook", 800, 2200),
    ("SOAP", "Olive Oil Soap", 500, 1400),
    ("VASE", "Bud Vase", 1900, 6400),
    ("THROW", "Wool Throw", 5900, 14900),
    ("TEA", "Loose Leaf Tea", 700, 2400),
    ("APRN", "Waxed Apron", 3400, 7900),
    ("LAMP", "Desk Lamp", 4500, 12900),
    ("SPOON", "Olive Wood Spoon", 600, 1800),
)
#: SKU stem → (vendor, product type, tag)
_KINDS = {
    "MUG": ("Kiln & Clay", "Tableware", "kitchen"),
    "BOWL": ("Kiln & Clay", "Tableware", "kitchen"),
    "CNDL": ("Lumen Works", "Candles", "home"),
    "TOTE": ("Harbour Cloth", "Bags", "textile"),
    "NOTE": ("Paper Lane", "Stationery", "desk"),
    "SOAP": ("Grove Soap Co.", "Bath", "home"),
    "VASE": ("Kiln & Clay", "Decoration", "home"),
    "THROW": ("Harbour Cloth", "Textiles", "textile"),
    "TEA": ("Grove Soap Co.", "Food", "kitchen"),
    "APRN": ("Harbour Cloth", "Textiles", "kitchen"),
    "LAMP": ("Lumen Works", "Lighting", "desk"),
    "SPOON": ("Olive & Oak", "Tableware", "kitchen"),
}
_LOOKS = ("Sand", "Moss", "Ink", "Clay", "Fog", "Rust", "Plum", "Bone", "Pine", "Sky", "Coal", "Rose")
STOCK_MAX = 60


class BadCatalogue(ValueError):
    """The products file does not hold what is expected; the message says which entry and why."""


def demo_products(count: int = 40, *, seed: int = 1, currency: str = "USD") -> list[Product]:
    """Return `count` different products with prices, 1 to 60 pieces of stock, and Zipf weights (a few sell most)."""
    rng = random.Random(f"{seed}:catalogue")
    facts = random.Random(f"{seed}:facts")  # a stream of its own: what a product costs changes no stock of a seed
    pairs = [(goods, look) for goods in _GOODS for look in _LOOKS]
    rng.shuffle(pairs)
    products = []
    for rank in range(count):
        (stem, noun, low, high), look = pairs[rank % len(pairs)]
        number = rank // len(pairs) + 1
        sku = f"{stem}-{look.upper()}" + (f"-{number}" if number > 1 else "")
        title = f"{noun}, {look}" + (f", No. {number}" if number > 1 else "")
        price = rng.randrange(low, high, 50) + rng.choice((0, 0, 45, 49))
        stock = rng.randint(1, STOCK_MAX)
        products.append(Product(sku, title, price, currency, stock, 1 / (rank + 1), **_facts(stem, price, rank, facts)))
    return products


def _facts(stem: str, price_minor: int, rank: int, rng: random.Random) -> dict[str, Any]:
    """What a merchant keeps about a product beside its price: vendor, type, tags, cost; every fifth is reduced, some costs are unknown."""
    vendor, product_type, tag = _KINDS[stem]
    tags = [
        tag,
        *(["bestseller"] if rank < 5 else []),
        *(["fragile"] if tag == "kitchen" and rng.random() < 0.5 else []),
    ]
    cost = price_minor * rng.randint(30, 60) // 100
    return {
        "vendor": vendor,
        "product_type": product_type,
        "tags": tuple(sorted(tags)),
        "cost_minor": cost if rng.random() < 0.9 else None,
        "compare_at_minor": price_minor * 5 // 4 if rng.random() < 0.2 else None,
        "barcode": f"40{rng.randrange(10**10):010d}",
    }


def read_products(path: Path) -> list[Product]:
    """Return the products of a JSON file: an array of objects with the fields of `Product` (weight optional).

    Raises BadCatalogue.
    """
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError) as problem:
        raise BadCatalogue(f"{path} cannot be read as JSON: {problem}") from None
    return parse_products(entries)


def parse_products(entries: Any) -> list[Product]:
    """Return the products of decoded JSON. Raises BadCatalogue."""
    if not isinstance(entries, list) or not entries:
        raise BadCatalogue("products must be an array with at least one object")
    products = []
    for place, entry in enumerate(entries):
        try:
            product = Product(**entry)
        except TypeError as problem:
            raise BadCatalogue(
                f"product {place}: {problem}; fields: sku, title, price_minor, currency, stock"
            ) from None
        whole = isinstance(product.price_minor, int) and isinstance(product.stock, int)
        if not product.sku or not whole or product.price_minor <= 0 or product.stock < 0:
            raise BadCatalogue(f"product {place}: needs a sku, a price_minor above 0 and a stock of 0 or more")
        products.append(product)
    if len({product.sku for product in products}) != len(products):
        raise BadCatalogue("two products have the same sku")
    return products
